"""What happens out of sight is in the log, on real PostgreSQL: one sentence a kind of event."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from couponctl.drills.faults.database import Point, deadlocked_at, drained_pool
from couponctl.drills.faults.proxy import Lost, wire_proxy
from couponctl.errors import CouponctlError, PoolExhausted
from couponctl.ledger.claims import BATCHED
from couponctl.models import Outcome
from couponctl.postgres import connect, engine
from couponctl.postgres.connect import connect_first_host
from couponctl.postgres.database import Database, open_database
from couponctl.postgres.libpq import Host
from couponctl.service import CouponService, RetryPolicy
from tests.support.rules_of_their_own import CHECK, KEEPS_OUT, LATE_RULE
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import asyncpg

    from couponctl.models import Coupon
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from tests.conftest import Sql

OWN_BACKENDS = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name = 'couponctl/test' AND datname = current_database()
"""


@pytest.fixture
def no_host_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_left_out", {})


@pytest.fixture
def hasty(database: Database) -> CouponService:
    """Retries at once."""
    return CouponService(database, retry_policy=RetryPolicy(base_delay=0.001, max_delay=0.01))


async def test_a_claim_that_is_won_says_nothing(
    service: CouponService, coupon: Coupon, caplog: pytest.LogCaptureFixture
) -> None:
    await service.claim(coupon.name, "first")
    caplog.set_level(logging.DEBUG, "couponctl")
    caplog.clear()
    for number in range(20):
        await service.claim(coupon.name, f"user {number}")

    assert not caplog.records


@pytest.mark.parametrize("times", [1, 100], ids=["found by a retry", "never found"])
async def test_a_lost_answer(
    server: Server, limits: Limits, coupon: Coupon, logged: Callable[[str], list[str]], times: int
) -> None:
    policy = RetryPolicy(attempts=3, base_delay=0.001, max_delay=0.01)
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, limits, application="couponctl/test") as database,
    ):
        proxy.lose(Lost.REQUEST, b"victim", times=times)
        await CouponService(database, retry_policy=policy).claim(coupon.name, "victim")

    again = "INFO A claim is made again, try {} of 3: its answer was lost."
    if times == 1:
        assert logged("service") == [again.format(2), "INFO Try 2 brought the answer that was lost."]
    else:
        end = "WARNING None of 3 tries brought the answer that was lost."
        assert logged("service") == [again.format(2), again.format(3), end]
    lost, broke, *_ = logged("postgres.troubles")
    assert lost.startswith("INFO The connection of backend")
    assert lost.endswith("was lost.")
    assert broke.startswith(f"WARNING The connection to {server.user}@")
    assert broke.endswith("broke around a commit, whose outcome only a retry can find out.")


async def test_a_connection_lost_before_the_commit(
    server: Server, limits: Limits, coupon: Coupon, logged: Callable[[str], list[str]]
) -> None:
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, limits, application="couponctl/test") as database,
    ):
        proxy.lose(Lost.ANSWER, b"FOR SHARE")
        with pytest.raises(CouponctlError):
            async with database.session() as session:
                await session.connection.exec_driver_sql("SELECT FROM coupons FOR SHARE")

    (lost,) = logged("postgres.troubles")
    assert lost.endswith("was lost in the middle of its work, which is rolled back.")


async def test_a_retry_after_a_deadlock(
    hasty: CouponService, server: Server, limits: Limits, coupon: Coupon, logged: Callable[[str], list[str]]
) -> None:
    async with (
        open_database(server, limits, application="couponctl/test", schema="public") as observer,
        deadlocked_at(Point.AFTER_INSERT, observer, times=1),
    ):
        assert (await hasty.claim(coupon.name, "victim")).outcome is Outcome.CLAIMED

    why = "a deadlock or other concurrent work broke it off"
    assert logged("service") == [f"INFO A claim is made again, try 2 of 5: {why}."]


async def test_tables_with_rules_of_their_own(
    service: CouponService,
    coupon: Coupon,
    sql: Sql,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    await other_session.execute(KEEPS_OUT)
    for user in ("alice", "bob"):
        await service.claim(coupon.name, user)

    assert logged("ledger.claims.plain_tables") == [
        "INFO The tables have rules of their own: each claim is made in a savepoint."
    ]


async def test_a_claim_that_is_refused_and_tried_in_a_savepoint(
    service: CouponService,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    await other_session.execute(CHECK)
    await service.claim(coupon.name, "bad")

    assert logged("ledger.claims.single") == ["DEBUG A claim that ended as refused is tried in a savepoint."]


@pytest.mark.parametrize("rule", [CHECK, LATE_RULE], ids=["refused", "refused at its commit"])
async def test_a_batch_that_is_made_singly(
    service: CouponService,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
    rule: str,
) -> None:
    await other_session.execute(rule)
    await service.claim_many(coupon.name, ["alice", "bad", "bob"], lambda _: None)

    assert logged("ledger.claims.batch") == ["INFO 3 of a batch of 3 claims are made singly."]
    late = ["INFO 3 claims were refused at their commit, and each gets one of its own."]
    assert logged("ledger.claims.savepoint") == (late if rule is LATE_RULE else [])


async def test_a_trigger_that_comes_in_the_middle_of_a_sale(
    database: Database, coupon: Coupon, other_session: asyncpg.Connection, logged: Callable[[str], list[str]]
) -> None:
    service = CouponService(database, strategy=BATCHED)
    claims = asyncio.gather(*(service.claim(coupon.name, user) for user in ("alice", "bob")))
    await claims
    await other_session.execute(KEEPS_OUT)
    await asyncio.gather(*(service.claim(coupon.name, user) for user in ("bad", "carol")))

    assert logged("ledger.claims.batch") == [
        "WARNING A trigger or rule kept claims out: from now on each is made singly."
    ]


async def test_a_batch_that_fails(
    database: Database,
    sql: Sql,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    await other_session.execute("DROP TABLE claims")
    service = CouponService(database, strategy=BATCHED)
    with pytest.raises(CouponctlError):
        await service.claim(coupon.name, "alice")

    assert logged("ledger.claims.batcher") == ["INFO A batch of 1 claims failed: SchemaMissing."]


async def test_a_batch_that_nobody_waits_for_and_its_connection(
    database: Database,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    service = CouponService(database, strategy=BATCHED)
    async with other_session.transaction():
        await other_session.execute("SELECT FROM coupons FOR UPDATE")
        claim = asyncio.create_task(service.claim(coupon.name, "alice"))
        await until(lambda: observer.fetchval(WAITING), 1)
        claim.cancel()
        await asyncio.wait({claim})

    assert logged("ledger.claims.batcher") == ["INFO A batch of 1 claims is cancelled: nobody waits for it."]
    (discarded,) = logged("postgres.troubles")
    assert discarded.startswith("DEBUG The connection of backend")
    assert discarded.endswith("is discarded, as its work was broken off.")


WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def test_a_rested_connection_that_died(
    service: CouponService,
    coupon: Coupon,
    observer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    logged: Callable[[str], list[str]],
) -> None:
    monkeypatch.setattr(engine, "_RESTED", -1.0)
    own = [row["pid"] for row in await observer.fetch(OWN_BACKENDS)]
    await observer.executemany("SELECT pg_terminate_backend($1)", [(pid,) for pid in own])
    await until(lambda: observer.fetch(OWN_BACKENDS), [])
    assert (await service.claim(coupon.name, "alice")).outcome is Outcome.CLAIMED

    assert logged("postgres.engine")[0].startswith("INFO A connection that had rested ")


async def test_a_demoted_primary(
    server: Server,
    limits: Limits,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    name = await other_session.fetchval("SELECT current_database()")
    await other_session.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with open_database(server, limits, application="couponctl/test") as database:
        with pytest.raises(CouponctlError):
            await CouponService(database).claim(coupon.name, "alice")

    *_, demoted = logged("postgres.troubles")
    assert demoted == (
        f"WARNING {server.where} takes no writes, as a demoted primary: its connection is left for another."
    )


async def test_an_exhausted_pool_is_told_of_once_a_second_with_a_count(
    server: Server, limits: Limits, logged: Callable[[str], list[str]]
) -> None:
    hasty = replace(limits, pool_size=1, acquire_timeout=0.05)
    async with open_database(server, hasty, application="couponctl/test") as database, drained_pool(database):
        await asyncio.gather(*(database.turn("SPRING") for _ in range(20)), return_exceptions=True)
        database._exhaustion._quiet_until = 0.0
        with pytest.raises(PoolExhausted):
            await database.turn("SPRING")

    first, second = logged("postgres.troubles")
    assert first.startswith("WARNING All 1 connections of the pool stayed busy: 1 waited 0.05 s in vain, ")
    assert " 20 waited 0.05 s in vain, 0 still wait." in second


async def test_a_connection_that_was_never_ready(
    server: Server, limits: Limits, monkeypatch: pytest.MonkeyPatch, logged: Callable[[str], list[str]]
) -> None:
    async with open_database(server, limits, application="couponctl/test") as database:

        def broken(*_arguments: object) -> None:
            raise asyncio.CancelledError

        monkeypatch.setattr(database._engine.sync_engine.dialect, "initialize", broken)
        with pytest.raises(asyncio.CancelledError):
            async with database.session():
                pass

    (told,) = [line for line in logged("postgres.troubles") if "terminated" in line]
    assert told.endswith("is terminated, as it was left half prepared for the pool.")


async def test_a_pool_that_does_not_close(
    server: Server, limits: Limits, monkeypatch: pytest.MonkeyPatch, logged: Callable[[str], list[str]]
) -> None:
    database = Database(server, replace(limits, command_timeout=0.01), application="couponctl/test")

    async def hang(_engine: AsyncEngine) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(AsyncEngine, "dispose", hang)
        await database.close()
    await database.close()

    assert logged("postgres.database") == ["WARNING The pool did not close within 0.01 s and is given up."]


@pytest.mark.usefixtures("no_host_left_out")
async def test_a_host_is_left_out_and_used_again(
    server: Server, limits: Limits, short_path: Path, logged: Callable[[str], list[str]]
) -> None:
    away = Host(str(short_path), 5432)
    several = replace(server, hosts=(away, server.hosts[0]))
    for _ in range(3):
        await (await connect_first_host(several, limits, "couponctl/test")).close()
    left_out = [line for line in logged("postgres.connect") if "left out" in line]
    async with wire_proxy(server) as proxy:
        there = proxy.server.hosts[0]
        (short_path / ".s.PGSQL.5432").symlink_to(f"{there.host}/.s.PGSQL.{there.port}")
        await (await connect_first_host(several, limits, "couponctl/test")).close()

    assert len(left_out) == 1
    assert left_out[0].startswith(f"WARNING Host {away} is left out, until it can be used, after 0.0 s: ")
    assert left_out[0].endswith(": no server listens on that socket.")
    assert logged("postgres.connect")[-2] == f"INFO Host {away} can be used again."
    assert logged("postgres.connect")[-1].startswith(f"DEBUG Connected to {away} as backend ")
