"""Claims by batches: what one who claims together with others may rely on, beyond the contract of a claim."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponctl.drills.faults.proxy import Lost, wire_proxy
from couponctl.errors import NoPrivilege
from couponctl.ledger.claims import BATCHED, batch, batcher
from couponctl.ledger.claims.batch import Batches
from couponctl.ledger.claims.plain_tables import PlainTables
from couponctl.models import Outcome
from couponctl.postgres.database import open_database
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService, RetryPolicy
from tests.support.waiting import DEADLINE, PATIENT, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    import asyncpg

    from couponctl.drills.faults.proxy import WireProxy
    from couponctl.ledger.claims.savepoint import Answer
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.service import Attempt
    from tests.conftest import Role

CLAIMED, ALREADY_CLAIMED, SOLD_OUT = Outcome.CLAIMED, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT

COMMITS = "SELECT count(DISTINCT xmin::text) FROM claims"
"""Each row carries the number of the transaction that wrote it."""

LOCK_WAITS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'couponctl/test' AND wait_event_type = 'Lock'
"""


@pytest.fixture
def limits() -> Limits:
    return PATIENT


@pytest.fixture
def service(database: Database) -> CouponService:
    return CouponService(database, strategy=BATCHED)


@pytest.fixture
async def hot(service: CouponService) -> str:
    """A coupon with a unit for everybody."""
    return (await service.create("HOT", 100_000)).name


@pytest.fixture
def in_fours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of at most four claims."""
    monkeypatch.setattr(batcher, "MOST", 4)


@pytest.fixture
async def proxied(server: Server, limits: Limits, short_path: Path) -> AsyncIterator[_Proxied]:
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, limits, application="couponctl/test") as database,
    ):
        quick = RetryPolicy(base_delay=0.001, max_delay=0.01)
        yield _Proxied(proxy, CouponService(database, strategy=BATCHED, retry_policy=quick))


class _Proxied:
    """A service all of whose connections lead through the proxy."""

    def __init__(self, proxy: WireProxy, service: CouponService) -> None:
        self.proxy = proxy
        self.service = service


def users(number: int, prefix: str = "user") -> list[str]:
    return [f"{prefix}-{n:04}" for n in range(number)]


def claims_for(service: CouponService, coupon: str, who: Sequence[str]) -> list[asyncio.Task[Attempt]]:
    return [asyncio.create_task(service.claim(coupon, user), name=user) for user in who]


async def all_claim(service: CouponService, coupon: str, who: Sequence[str]) -> list[Outcome]:
    """Everybody in one turn of the event loop, in this order."""
    return [attempt.outcome for attempt in await asyncio.gather(*claims_for(service, coupon, who))]


async def claimants(service: CouponService, coupon: str) -> tuple[str, ...]:
    return (await service.show(coupon, limit=10_000)).claimed_by


async def hold(session: asyncpg.Connection, coupon: str) -> None:
    await session.execute("SELECT FROM coupons WHERE name = $1 FOR UPDATE", coupon)


async def test_claims_that_come_together_share_one_commit(
    service: CouponService, hot: str, observer: asyncpg.Connection
) -> None:
    outcomes = await all_claim(service, hot, users(100))

    assert Counter(outcomes) == {CLAIMED: 100}
    assert await observer.fetchval(COMMITS) == 1
    assert (await service.verify()).ok


async def test_claims_that_come_meanwhile_share_the_next_one(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await hold(other_session, hot)
        tasks = claims_for(service, hot, users(1))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        for user in users(20, "later"):
            tasks += claims_for(service, hot, [user])
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert await observer.fetchval(COMMITS) == 2


async def test_nobody_is_answered_before_the_commit(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    await other_session.execute("""
        CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN NEW; END';
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON claims DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION wait_here();
    """)
    async with other_session.transaction():
        await other_session.execute("SELECT pg_advisory_xact_lock(4711)")
        tasks = claims_for(service, hot, users(5))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)

        assert not any(task.done() for task in tasks)

    assert [(await task).outcome for task in tasks] == [CLAIMED] * 5


async def test_the_first_to_come_get_the_last_units(service: CouponService) -> None:
    await service.create("FEW", 10)

    outcomes = await all_claim(service, "FEW", users(30))

    assert outcomes == [CLAIMED] * 10 + [SOLD_OUT] * 20
    assert await claimants(service, "FEW") == tuple(users(10))


@pytest.mark.usefixtures("in_fours")
async def test_who_comes_later_does_not_get_them_because_a_smaller_batch_is_enough_for_him(
    service: CouponService,
) -> None:
    """Three units: not enough for the four who came first, but for the one who clicks four times."""
    await service.create("FEW", 3)

    outcomes = await all_claim(service, "FEW", [*users(4), "late", "late", "late", "late"])

    assert outcomes == [CLAIMED] * 3 + [SOLD_OUT] * 5


async def test_who_claims_twice_in_a_batch_has_claimed_already(service: CouponService) -> None:
    await service.create("FEW", 2)

    outcomes = await all_claim(service, "FEW", ["a", "a", "b", "c", "a", "c"])

    assert outcomes == [CLAIMED, ALREADY_CLAIMED, CLAIMED, SOLD_OUT, ALREADY_CLAIMED, SOLD_OUT]
    assert await claimants(service, "FEW") == ("a", "b")


@pytest.mark.parametrize("stock", [5, 3])
async def test_who_has_claimed_before_takes_no_unit_from_the_others(
    service: CouponService, stock: int
) -> None:
    """With enough for all of the batch, and with fewer units than claims."""
    await service.create("FEW", stock)
    await service.claim("FEW", "early")

    outcomes = await all_claim(service, "FEW", ["a", "early", "b"])

    assert outcomes == [CLAIMED, ALREADY_CLAIMED, CLAIMED]
    assert (await service.verify()).ok


async def test_a_batch_after_one_with_duplicates_does_not_queue_for_a_sold_out_coupon(
    service: CouponService, database: Database, other_session: asyncpg.Connection
) -> None:
    await service.create("FEW", 5)
    batches = Batches(database, "FEW", PlainTables(database))
    assert await batches.claim(["a"]) == [CLAIMED]
    assert await batches.claim(["a", "b"]) == [ALREADY_CLAIMED, CLAIMED]
    await other_session.execute("UPDATE coupons SET amount = 2, remaining_amount = 0")
    async with other_session.transaction():
        await hold(other_session, "FEW")

        assert await batches.claim(["a", "c"]) == [ALREADY_CLAIMED, SOLD_OUT]


async def test_in_a_batch_for_a_sold_out_coupon_nobody_is_chosen(
    database: Database, sold_out_coupon: Coupon, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(database, sold_out_coupon.name, PlainTables(database))
    monkeypatch.setattr(batches, "_choose", None)

    assert await batches.claim(["winner", "late"]) == [ALREADY_CLAIMED, SOLD_OUT]


async def test_batches_with_and_without_duplicates_take_turns(
    service: CouponService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the last batch had some, nobody hopes that the next one has none; none is tried one by one."""
    await service.create("FEW", 6)
    batches = Batches(database, "FEW", PlainTables(database))
    alike: list[str] = []
    treat_alike = batches._treat_alike

    async def told(who: Sequence[str], sent: Callable[[], None]) -> Mapping[str, Answer] | None:
        alike.append("".join(who))
        return await treat_alike(who, sent)

    monkeypatch.setattr(batches, "_treat_alike", told)
    monkeypatch.setattr(batch, "claim_in_savepoints", None)

    assert await batches.claim(["a", "b"]) == [CLAIMED, CLAIMED]
    assert await batches.claim(["b", "c"]) == [ALREADY_CLAIMED, CLAIMED]
    assert await batches.claim(["c", "d"]) == [ALREADY_CLAIMED, CLAIMED]
    assert await batches.claim(["e"]) == [CLAIMED]
    assert await batches.claim(["f", "h"]) == [CLAIMED, SOLD_OUT]
    assert await batches.claim(["a", "g"]) == [ALREADY_CLAIMED, SOLD_OUT]
    assert alike == ["ab", "bc", "fh", "ag"]
    assert (await service.verify()).ok


async def test_a_coupon_that_went_after_a_batch_with_duplicates_is_not_found(
    service: CouponService, hot: str, database: Database, other_session: asyncpg.Connection
) -> None:
    batches = Batches(database, hot, PlainTables(database))
    await batches.claim(["a"])
    assert await batches.claim(["a", "b"]) == [ALREADY_CLAIMED, CLAIMED]
    await other_session.execute("DELETE FROM claims; DELETE FROM coupons")

    assert await batches.claim(["a", "c"]) == [Outcome.NOT_FOUND] * 2


@pytest.mark.parametrize("kept_out", ["b", "."], ids=["one", "all"])
async def test_only_what_was_inserted_is_taken_off(
    service: CouponService, hot: str, other_session: asyncpg.Connection, kept_out: str
) -> None:
    """A trigger of the database's own may leave claims out without a word."""
    await other_session.execute(f"""
        CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN IF NEW.user_id ~ '{kept_out}' THEN RETURN NULL; END IF; RETURN NEW; END$$;
        CREATE TRIGGER keep_out BEFORE INSERT ON claims FOR EACH ROW EXECUTE FUNCTION keep_out();
    """)

    outcomes = await all_claim(service, hot, ["a", "b", "c"])

    wins = CLAIMED if kept_out == "b" else Outcome.REFUSED
    assert outcomes == [wins, Outcome.REFUSED, wins]
    assert len(await claimants(service, hot)) == outcomes.count(CLAIMED)
    assert (await service.verify()).ok


async def test_a_coupon_that_may_be_seen_but_not_locked_is_answered_for(
    service: CouponService, hot: str, other_session: asyncpg.Connection, role: Role, limits: Limits
) -> None:
    await other_session.execute("""
        GRANT SELECT, INSERT, UPDATE ON coupons, claims TO PUBLIC;
        ALTER TABLE coupons ENABLE ROW LEVEL SECURITY;
        CREATE POLICY to_see ON coupons FOR SELECT USING (true);
    """)
    clerk = server_at(await asyncio.to_thread(role), source="the test")
    async with open_database(clerk, limits, application="couponctl/test") as database:
        for task in claims_for(CouponService(database, strategy=BATCHED), hot, ["a", "b"]):
            with pytest.raises(NoPrivilege):
                await task

    assert await claimants(service, hot) == ()


async def test_a_batch_that_is_tried_singly_ends_when_the_last_of_it_is_cancelled(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    await other_session.execute("""
        ALTER TABLE claims ADD CHECK (user_id <> 'poison');
        CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN IF NEW.user_id = 'b' THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN NEW; END$$;
        CREATE TRIGGER wait BEFORE INSERT ON claims FOR EACH ROW EXECUTE FUNCTION wait_here();
    """)
    async with other_session.transaction():
        await other_session.execute("SELECT pg_advisory_xact_lock(4711)")
        tasks = claims_for(service, hot, ["poison", "b", "c"])
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        for task in tasks:
            task.cancel()
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait(tasks)

        await until(lambda: observer.fetchval(LOCK_WAITS), 0)
    assert service.pool_stats().in_use == 0
    assert await claimants(service, hot) == ()


async def test_a_batch_is_bounded(service: CouponService, hot: str, observer: asyncpg.Connection) -> None:
    await all_claim(service, hot, users(2 * batcher.MOST + 1))

    sizes = await observer.fetch("SELECT count(*) FROM claims GROUP BY xmin::text ORDER BY 1")
    assert [row[0] for row in sizes] == [1, batcher.MOST, batcher.MOST]


async def test_a_cancelled_claim_that_was_not_sent_is_dropped(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await hold(other_session, hot)
        first, cancelled, other = claims_for(service, hot, ["first"]), [], []
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        cancelled, other = claims_for(service, hot, ["cancelled"]), claims_for(service, hot, ["other"])
        await asyncio.sleep(0)
        cancelled[0].cancel()
    await asyncio.gather(*first, *cancelled, *other, return_exceptions=True)

    assert cancelled[0].cancelled()
    assert await claimants(service, hot) == ("first", "other")


async def test_a_batch_goes_on_without_who_is_cancelled(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    async with other_session.transaction():
        await hold(other_session, hot)
        cancelled, *others = claims_for(service, hot, users(5))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        cancelled.cancel()
        await asyncio.wait({cancelled})

    assert [(await task).outcome for task in others] == [CLAIMED] * 4
    assert (await service.verify()).ok


async def test_a_batch_that_nobody_waits_for_any_more_is_broken_off(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    before = asyncio.all_tasks()
    async with other_session.transaction():
        await hold(other_session, hot)
        tasks = claims_for(service, hot, users(5))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        async with asyncio.timeout(DEADLINE):
            while not all(task.done() for task in tasks):
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(0)

        assert asyncio.all_tasks() == before
        await until(lambda: observer.fetchval(LOCK_WAITS), 0)
    assert await claimants(service, hot) == ()
    assert service.pool_stats().in_use == 0
    assert (await service.claim(hot, "next")).outcome is CLAIMED


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE claims ALTER user_id TYPE varchar(12)",
        "ALTER TABLE claims ADD CHECK (length(user_id) <= 12)",
    ],
    ids=["narrow column", "rule"],
)
async def test_one_whom_this_database_does_not_take_spoils_it_for_nobody_else(
    service: CouponService, hot: str, other_session: asyncpg.Connection, damage: str
) -> None:
    await other_session.execute(damage)

    outcomes = await all_claim(service, hot, ["before", "much too long a name", "after"])

    assert outcomes == [CLAIMED, Outcome.REFUSED, CLAIMED]
    assert await claimants(service, hot) == ("after", "before")


async def test_who_is_cancelled_after_it_was_sent_goes_on_with_a_batch_that_is_tried_singly(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    await other_session.execute("ALTER TABLE claims ALTER user_id TYPE varchar(12)")
    async with other_session.transaction():
        await hold(other_session, hot)
        poison, cancelled, after = claims_for(service, hot, ["much too long a name", "cancelled", "after"])
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        cancelled.cancel()
    await asyncio.gather(poison, cancelled, after, return_exceptions=True)

    assert cancelled.cancelled()
    assert await claimants(service, hot) == ("after", "cancelled")
    assert (await service.verify()).ok


async def test_a_lost_answer_is_resolved_for_everybody(proxied: _Proxied) -> None:
    await proxied.service.create("HOT", 100)
    proxied.proxy.lose(Lost.ANSWER, b"user-0003")

    attempts = await asyncio.gather(*claims_for(proxied.service, "HOT", users(10)))

    assert proxied.proxy.losses == 1
    assert {(attempt.outcome, attempt.resolved) for attempt in attempts} == {(ALREADY_CLAIMED, True)}
    assert (await proxied.service.show("HOT")).coupon.remaining_amount == 90


async def test_a_lost_request_is_made_again_for_everybody(proxied: _Proxied) -> None:
    await proxied.service.create("HOT", 100)
    proxied.proxy.lose(Lost.REQUEST, b"user-0003")

    attempts = await asyncio.gather(*claims_for(proxied.service, "HOT", users(10)))

    assert {(attempt.outcome, attempt.resolved) for attempt in attempts} == {(CLAIMED, True)}
    assert (await proxied.service.show("HOT")).coupon.remaining_amount == 90


async def test_without_a_server_everybody_is_told_so(
    proxied: _Proxied, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    await proxied.service.create("HOT", 100)
    async with other_session.transaction():
        await hold(other_session, "HOT")
        sent = claims_for(proxied.service, "HOT", users(10))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        waiting = claims_for(proxied.service, "HOT", users(10, "waiting"))
        await asyncio.sleep(0)
        await proxied.proxy.cut()

        assert {(await task).outcome for task in sent} == {Outcome.UNKNOWN}
        assert {(await task).outcome for task in waiting} == {Outcome.UNAVAILABLE}


async def test_coupons_do_not_wait_for_each_other(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    await service.create("COOL", 100)
    async with other_session.transaction():
        await hold(other_session, hot)
        held = claims_for(service, hot, users(1000))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)

        assert Counter(await all_claim(service, "COOL", users(50))) == {CLAIMED: 50}
        assert not any(task.done() for task in held)
    await asyncio.gather(*held)


async def test_coupons_take_turns_on_one_connection(server: Server, limits: Limits) -> None:
    answered: list[str] = []
    async with open_database(server, type(limits)(pool_size=1), application="couponctl/test") as database:
        service = CouponService(database, strategy=BATCHED)
        for coupon in ("HOT", "COOL"):
            await service.create(coupon, 10_000)
        tasks = claims_for(service, "HOT", users(5 * batcher.MOST))
        tasks += claims_for(service, "COOL", users(2))
        for task in tasks:
            task.add_done_callback(lambda done: answered.append(done.result().name))
        await asyncio.gather(*tasks)

    before_the_last_cool = answered[: len(answered) - answered[::-1].index("COOL")]
    assert before_the_last_cool.count("HOT") <= 2 * batcher.MOST


_CLAIMS = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from("uvwxyz"), st.integers(0, 3)),
    max_size=40,
)


@given(stock=st.integers(1, 5), coming=_CLAIMS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.usefixtures("in_fours")
async def test_whatever_comes_is_answered_as_if_one_came_after_the_other(
    service: CouponService,
    other_session: asyncpg.Connection,
    stock: int,
    coming: list[tuple[str, str, int]],
) -> None:
    """Users of two coupons, some again and again, with so many turns of the event loop between two."""
    await other_session.execute("TRUNCATE coupons CASCADE")
    for coupon in ("A", "B"):
        await service.create(coupon, stock)
    tasks = []
    for coupon, user, turns in coming:
        tasks += claims_for(service, coupon, [user])
        for _ in range(turns):
            await asyncio.sleep(0)
    attempts = await asyncio.gather(*tasks)

    for coupon in ("A", "B"):
        heard = [(attempt.user_id, attempt.outcome) for attempt in attempts if attempt.name == coupon]
        winners = list(dict.fromkeys(user for user, _ in heard))[:stock]
        assert Counter(heard) == _modelled([user for user, _ in heard], winners)
        page = await service.show(coupon)
        assert page.claimed_by == tuple(sorted(winners))
        assert page.coupon.remaining_amount == stock - len(winners)


def _modelled(clicks: Sequence[str], winners: Sequence[str]) -> Counter[tuple[str, Outcome]]:
    """What all clicks hear together; which one of a winner's it is that wins, nobody can tell."""
    return Counter((user, CLAIMED) for user in winners) + Counter(
        (user, ALREADY_CLAIMED if user in winners else SOLD_OUT)
        for number, user in enumerate(clicks)
        if user not in winners or user in clicks[:number]
    )
