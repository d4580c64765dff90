"""What the watch sees on a real server: who blocks whom, who is hidden; and it outlives its connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.faults.database import drained_pool
from couponctl.errors import Unreachable
from couponctl.models import Backend, Outcome
from couponctl.postgres import activity
from couponctl.postgres.activity import blocking_chains, open_watch
from couponctl.postgres.database import open_database
from couponctl.present import backend_row, blocking_line, safe
from couponctl.service import Attempt, CouponService
from tests.conftest import as_clerk
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.models import Coupon
    from couponctl.postgres.activity import ActivityWatch
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

LOCKED = "SELECT FROM coupons WHERE name = $1 FOR UPDATE"


@pytest.fixture
async def watch(server: Server, limits: Limits) -> AsyncIterator[ActivityWatch]:
    async with open_watch(server, limits) as watch:
        yield watch


async def shape(watch: ActivityWatch) -> list[tuple[int, bool]]:
    """Depth, and whether it is couponctl's, of everyone who blocks or waits."""
    rows = blocking_chains((await watch.look()).backends)
    return [(row.depth, bool(row.backend and row.backend.own)) for row in rows]


async def waits(watch: ActivityWatch) -> list[str]:
    """What everyone waits for who waits for a lock."""
    return sorted(backend.wait for backend in (await watch.look()).backends if backend.waits_for_lock)


async def seen(watch: ActivityWatch, session: asyncpg.Connection) -> Backend:
    """The backend of this session."""
    backends = {backend.pid: backend for backend in (await watch.look()).backends}
    return backends[session.get_server_pid()]


async def test_claims_that_wait_stand_below_who_holds_the_row(
    service: CouponService, coupon: Coupon, watch: ActivityWatch, other_session: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await other_session.execute(LOCKED, coupon.name)
        claims = [asyncio.create_task(service.claim(coupon.name, user)) for user in ("alice", "bob")]
        await until(lambda: shape(watch), [(0, False), (1, True), (2, True)])

        found = await watch.look()
        root, first, second = blocking_chains(found.backends)

    assert root.pid == other_session.get_server_pid()
    assert root.backend == found.backends[0]
    assert (root.backend.state, root.backend.query) == ("idle in transaction", LOCKED)
    assert (first.below, second.below) == (root.pid, first.pid)
    assert first.backend is not None
    assert first.backend.wait == "Lock:transactionid"
    assert (found.stats.lock_waits, found.stats.idle_in_transaction) == (2, 1)
    assert [(await claim).outcome for claim in claims] == [Outcome.CLAIMED, Outcome.CLAIMED]
    assert await shape(watch) == []


async def test_the_age_of_who_is_idle_in_a_transaction_is_that_of_its_idleness(
    watch: ActivityWatch, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    idle_for = (
        "SELECT extract(epoch FROM clock_timestamp() - state_change)::float8 FROM pg_stat_activity"
        " WHERE pid = $1 AND state = 'idle in transaction'"
    )
    async with other_session.transaction():
        await other_session.execute("SELECT pg_sleep(0.1)")
        least = await observer.fetchval(idle_for, other_session.get_server_pid())
        backend = await seen(watch, other_session)
        most = await observer.fetchval(idle_for, other_session.get_server_pid())

    assert backend.state == "idle in transaction"
    assert backend.age is not None
    assert least <= backend.age <= most


async def test_the_age_of_who_waits_is_that_of_the_wait_not_of_the_statement(
    watch: ActivityWatch, other_session: asyncpg.Connection, observer: asyncpg.Connection, database_url: str
) -> None:
    both = "DO $$ BEGIN PERFORM pg_advisory_lock(1); PERFORM pg_advisory_lock(2); END $$"
    began = "SELECT extract(epoch FROM clock_timestamp() - query_start) FROM pg_stat_activity WHERE pid = $1"
    waiting = await asyncpg.connect(database_url)
    pid = waiting.get_server_pid()

    async def wait_is_long_enough() -> bool:
        return bool(((await seen(watch, waiting)).age or 0) > 0.2)

    async def is_younger_than_its_statement() -> bool:
        statement = await observer.fetchval(began, pid)
        return bool(float(statement) - (await seen(watch, waiting)).age > 0.15)  # type: ignore[operator]

    await other_session.execute("SELECT pg_advisory_lock(1), pg_advisory_lock(2)")
    task = asyncio.create_task(waiting.execute(both))
    await until(wait_is_long_enough, True)
    await other_session.execute("SELECT pg_advisory_unlock(1)")
    await until(is_younger_than_its_statement, True)

    await other_session.execute("SELECT pg_advisory_unlock(2)")
    await task
    await waiting.close()


async def test_a_circle_is_shown_once_until_the_server_breaks_it(
    watch: ActivityWatch, other_session: asyncpg.Connection, observer: asyncpg.Connection, database_url: str
) -> None:
    third = await asyncpg.connect(database_url)
    for session, key in ((other_session, 1), (third, 2)):
        await session.execute(f"SET deadlock_timeout = '60s'; BEGIN; SELECT pg_advisory_xact_lock({key})")
    crossed = [
        asyncio.create_task(session.execute(f"SELECT pg_advisory_xact_lock({key})"))
        for session, key in ((other_session, 2), (third, 1))
    ]
    await until(lambda: shape(watch), [(0, False), (1, False)])

    first, second = blocking_chains((await watch.look()).backends)
    await observer.execute("SELECT pg_cancel_backend($1)", first.pid)
    answers = await asyncio.gather(*crossed, return_exceptions=True)
    await third.close()

    assert (first.circular, second.circular) == (True, False)
    assert second.below == first.pid
    assert sum(isinstance(answer, asyncpg.QueryCanceledError) for answer in answers) == 1


async def test_who_blocks_from_another_database_is_listed_too(
    watch: ActivityWatch, other_session: asyncpg.Connection, empty_database_url: str
) -> None:
    elsewhere = await asyncpg.connect(empty_database_url)
    lock = "LOCK TABLE pg_shdescription IN EXCLUSIVE MODE"  # a table that all databases share
    assert elsewhere.get_server_pid() not in {backend.pid for backend in (await watch.look()).backends}

    await elsewhere.execute(f"BEGIN; {lock}")
    waiter = asyncio.create_task(other_session.execute(f"DO $$ BEGIN {lock}; END $$"))
    await until(lambda: shape(watch), [(0, False), (1, False)])
    root = blocking_chains((await watch.look()).backends)[0]
    await elsewhere.close()
    await waiter

    assert root.pid == elsewhere.get_server_pid()
    assert root.backend is not None


async def test_a_role_without_privileges_sees_its_own_waits_and_who_blocks_them(
    server: Server,
    limits: Limits,
    coupon: Coupon,
    clerk: str,
    watch: ActivityWatch,
    other_session: asyncpg.Connection,
) -> None:
    clerks = as_clerk(server, clerk)
    async with (
        open_database(clerks, limits, application="couponctl/claim") as database,
        open_watch(clerks, limits) as clerks_watch,
        other_session.transaction(),
    ):
        await watch.look()
        await other_session.execute(LOCKED, coupon.name)
        claim = asyncio.create_task(CouponService(database).claim(coupon.name, "alice"))
        await until(lambda: shape(clerks_watch), [(0, False), (1, True)])
        found = await clerks_watch.look()
        holder = await seen(clerks_watch, other_session)
        everything = await watch.look()
        claim.cancel()
        await asyncio.wait({claim})

    assert (holder.state, holder.age, holder.query, holder.hidden) == ("", None, None, True)
    assert everything.hidden == 0
    # Each of the two sees the other's watch and not its own, and the clerk of its own role only the claim.
    assert found.hidden == len(found.backends) - 1
    assert found.stats.backends == everything.stats.backends == len(found.backends) + 1


async def test_a_watch_whose_connection_was_terminated_looks_again(
    watch: ActivityWatch, observer: asyncpg.Connection
) -> None:
    own = "SELECT pid FROM pg_stat_activity WHERE application_name = 'couponctl/watch'"
    await watch.look()
    pid = await observer.fetchval(own)

    await observer.execute("SELECT pg_terminate_backend($1)", pid)
    await until(lambda: observer.fetchval(own), None)
    with suppress(Unreachable):  # one that was lent a moment ago is not tried out first
        await watch.look()

    assert (await watch.look()).stats.own_backends == 1
    assert await observer.fetchval(own) not in {None, pid}


async def test_a_watch_that_cannot_connect_says_so_and_goes_on_when_it_can(
    server: Server, limits: Limits, clerk: str, observer: asyncpg.Connection
) -> None:
    async with open_watch(as_clerk(server, clerk), limits) as watch:
        await observer.execute(f"ALTER ROLE {clerk} CONNECTION LIMIT 0")
        for _ in range(2):
            with pytest.raises(Unreachable):
                await watch.look()

        await observer.execute(f"ALTER ROLE {clerk} CONNECTION LIMIT -1")
        assert (await watch.look()).stats.own_backends == 1


async def test_a_full_pool_is_watched_from_outside(database: Database, watch: ActivityWatch) -> None:
    async with drained_pool(database):
        found = await watch.look()

    assert [backend.application for backend in found.backends if backend.own] == ["couponctl/test"] * 5
    assert found.stats.own_backends == 6, "its own backend is counted, not listed"
    assert not found.truncated


async def test_a_list_that_is_cut_short_keeps_the_cause_and_who_waits_longest(
    service: CouponService,
    coupon: Coupon,
    watch: ActivityWatch,
    other_session: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with other_session.transaction():
        await other_session.execute(LOCKED, coupon.name)
        claims: list[asyncio.Task[Attempt]] = []
        for waiting in (
            ["Lock:transactionid"],
            ["Lock:transactionid", "Lock:tuple"],
            ["Lock:transactionid", "Lock:tuple", "Lock:tuple"],
        ):
            # One after the other: of two that begin at once, either may come to the lock first.
            claims.append(asyncio.create_task(service.claim(coupon.name, f"user-{len(claims)}")))
            await until(lambda: waits(watch), waiting)
        everyone = (await watch.look()).backends
        monkeypatch.setattr(activity, "MOST_BACKENDS", 2)
        found = await watch.look()
    await asyncio.gather(*claims)

    assert [backend.pid for backend in found.backends] == [backend.pid for backend in everyone[:2]]
    assert found.backends[0].pid == other_session.get_server_pid()
    assert found.truncated


async def test_hostile_texts_come_out_safe(watch: ActivityWatch, other_session: asyncpg.Connection) -> None:
    await other_session.execute("SET application_name = 'a\x1b[31mb\u202ec'")
    async with other_session.transaction():
        await other_session.execute("SELECT 1 -- \x1b]52;c;x\x07 \u202e \r\n \u2066")
        backend = await seen(watch, other_session)

    assert backend.query is not None
    assert "\x1b" in backend.query
    assert "\u202e" in backend.query
    for shown in backend_row(backend, 80):
        assert safe(shown) == shown
    assert backend_row(backend, 80)[-1] == r"SELECT 1 -- \u{1b}]52;c;x\u{7} \u{202e} \u{2066}"


async def test_a_very_long_statement_is_not_fetched_whole(
    watch: ActivityWatch, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(f"SELECT 1 -- {'x' * 5000}")

    assert len((await seen(watch, other_session)).query or "") == 1000


async def test_the_counters_are_those_of_the_database(
    watch: ActivityWatch, service: CouponService, coupon: Coupon, observer: asyncpg.Connection
) -> None:
    counters = "SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    least: Any = await observer.fetchrow(counters)
    found = await watch.look()
    later = await watch.look()
    most: Any = await observer.fetchrow(counters)

    assert least["xact_commit"] <= found.commits <= later.commits <= most["xact_commit"]
    assert least["xact_rollback"] <= found.rollbacks <= later.rollbacks <= most["xact_rollback"]
    assert found.commits > 0
    assert found.at < later.at


PIDS = st.integers(0, 8)


@given(st.dictionaries(st.integers(1, 8), st.tuples(st.booleans(), st.lists(PIDS, unique=True, max_size=4))))
def test_everyone_who_waits_is_one_row_below_one_that_it_waits_for(
    crowd: dict[int, tuple[bool, list[int]]],
) -> None:
    backends = [
        Backend(pid, "", "", "active", "Lock:tuple" if locked else "", 1.0, "", tuple(blockers))
        for pid, (locked, blockers) in crowd.items()
    ]
    waiting = {backend.pid: backend for backend in backends if backend.waits_for_lock}
    blockers = {pid for backend in backends for pid in backend.blocked_by}

    rows = blocking_chains(backends)

    assert sorted(row.pid for row in rows) == sorted(waiting.keys() | blockers)
    path: list[int] = []
    for row in rows:
        assert blocking_line(row)
        assert row.backend == next((backend for backend in backends if backend.pid == row.pid), None)
        path[row.depth :] = [row.pid]
        if row.below is None:
            assert row.depth == 0
            assert row.circular is (row.pid in waiting and bool(waiting[row.pid].blocked_by))
        else:
            assert path[row.depth - 1] == row.below
            assert row.below in waiting[row.pid].blocked_by
    for row in rows:
        if row.circular:
            assert _comes_back(row.pid, waiting)


def _comes_back(start: int, waiting: dict[int, Backend]) -> bool:
    """Whether who waits for whom leads from there to there again."""
    reached: set[int] = set()
    unread = [start]
    while unread:
        for pid in waiting[unread.pop()].blocked_by:
            if pid in waiting and pid not in reached:
                reached.add(pid)
                unread.append(pid)
    return start in reached


def test_a_very_long_chain_is_no_obstacle() -> None:
    backends = [Backend(pid, "", "", "active", "Lock:tuple", 1.0, "", (pid - 1,)) for pid in range(2, 5000)]

    assert [row.depth for row in blocking_chains(backends)] == list(range(4999))
