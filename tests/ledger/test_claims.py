"""The contract of a claim, held by every strategy."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.aio.cancellation import cancel_once
from couponctl.errors import AlreadyClaimed, CouponNotFound, SoldOut, TimedOut
from couponctl.ledger.claims import STATEMENT, TRANSACTION, batch, single
from couponctl.models import Outcome
from couponctl.postgres.database import open_database
from couponctl.postgres.limits import Limits
from couponctl.service import CouponService
from tests.support.waiting import PATIENT, until

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server


@pytest.fixture
def service(database: Database, strategy: Strategy) -> CouponService:
    return CouponService(database, strategy=strategy)


@pytest.fixture
def nobody_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim that is made once more, slowly, is answered truly too; on plain tables none may need it."""

    def tried(_: object, name: str, users: object, *sent: object) -> None:
        raise AssertionError(f"{users} of {name} tried again")

    monkeypatch.setattr(single, "claim_in_savepoints", tried)
    monkeypatch.setattr(batch, "claim_in_savepoints", tried)


@pytest.fixture
def with_a_task(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Claims that were given a task of their own."""
    given: list[object] = []

    async def cancel_once_told(work: Coroutine[Any, Any, Any]) -> Any:
        given.append(work)
        return await cancel_once(work)

    monkeypatch.setattr(single, "cancel_once", cancel_once_told)
    return given


@pytest.mark.usefixtures("nobody_tried_again")
async def test_every_answer_of_plain_tables_is_had_at_once(service: CouponService) -> None:
    await service.create("FEW", 2)

    told = [await service.claim("FEW", user) for user in ("a", "a", "b", "c", "a")]
    told += [await service.claim("NEVER", "a")]

    assert [attempt.outcome for attempt in told] == [
        Outcome.CLAIMED,
        Outcome.ALREADY_CLAIMED,
        Outcome.CLAIMED,
        Outcome.SOLD_OUT,
        Outcome.ALREADY_CLAIMED,
        Outcome.NOT_FOUND,
    ]


async def test_a_claim_takes_one_unit(service: CouponService, coupon: Coupon) -> None:
    attempt = await service.claim(coupon.name, "alice")

    assert attempt.outcome is Outcome.CLAIMED
    assert attempt.refusal is None
    page = await service.show(coupon.name)
    assert page.claimed_by == ("alice",)
    assert page.coupon.remaining_amount == coupon.amount - 1


async def test_a_warm_pool_knows_the_claim_on_every_connection(
    service: CouponService, database: Database
) -> None:
    await service.warm()

    everyone_in = asyncio.Barrier(database.limits.pool_size)

    async def statements_known() -> list[str]:
        async with database.autocommit() as direct:
            await everyone_in.wait()
            connection = direct.fairy.driver_connection
            assert connection is not None
            rows = await connection.fetch("SELECT statement FROM pg_prepared_statements")
            return [row["statement"] for row in rows]

    stats = service.pool_stats()
    assert (stats.idle, stats.acquires) == (database.limits.pool_size, 0)
    for known in await asyncio.gather(*(statements_known() for _ in range(database.limits.pool_size))):
        assert any("FOR UPDATE" in statement for statement in known)


async def test_an_unknown_coupon_is_not_found(service: CouponService) -> None:
    attempt = await service.claim("NEVER", "alice")

    assert attempt.outcome is Outcome.NOT_FOUND
    assert isinstance(attempt.refusal, CouponNotFound)


async def test_a_second_claim_takes_nothing(service: CouponService, coupon: Coupon) -> None:
    await service.claim(coupon.name, "alice")
    attempt = await service.claim(coupon.name, "alice")

    assert attempt.outcome is Outcome.ALREADY_CLAIMED
    assert isinstance(attempt.refusal, AlreadyClaimed)
    assert (await service.show(coupon.name)).coupon.remaining_amount == coupon.amount - 1


async def test_a_sold_out_coupon_refuses_newcomers(service: CouponService, sold_out_coupon: Coupon) -> None:
    attempt = await service.claim(sold_out_coupon.name, "late")

    assert attempt.outcome is Outcome.SOLD_OUT
    assert isinstance(attempt.refusal, SoldOut)


async def test_a_winner_who_asks_again_after_the_sale_is_not_told_sold_out(
    service: CouponService, sold_out_coupon: Coupon
) -> None:
    attempt = await service.claim(sold_out_coupon.name, "winner")

    assert attempt.outcome is Outcome.ALREADY_CLAIMED


async def test_racing_users_and_duplicates_leave_a_balanced_ledger(service: CouponService) -> None:
    await service.create("RACE", 20)
    users = [f"user-{number % 60}" for number in range(240)]

    attempts = await asyncio.gather(*(service.claim("RACE", user) for user in users))

    outcomes = Counter(attempt.outcome for attempt in attempts)
    page = await service.show("RACE")
    assert outcomes[Outcome.CLAIMED] == 20
    assert outcomes[Outcome.ALREADY_CLAIMED] == 60, "each of 20 winners asked four times"
    assert outcomes[Outcome.SOLD_OUT] == 160
    assert page.coupon.remaining_amount == 0
    assert {a.user_id for a in attempts if a.outcome is Outcome.CLAIMED} == set(page.claimed_by)


@pytest.mark.usefixtures("nobody_tried_again")
async def test_who_waited_for_the_lock_while_the_last_unit_went_hears_the_truth(
    service: CouponService,
    strategy: Strategy,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
) -> None:
    await service.create("LAST", 1)
    async with other_session.transaction():
        await other_session.execute("SELECT FROM coupons WHERE name = 'LAST' FOR UPDATE")
        winner = asyncio.create_task(service.claim("LAST", "winner"))
        loser = asyncio.create_task(service.claim("LAST", "loser"))
        await until(lambda: _waiting_for_locks(observer), min(2, strategy.max_per_coupon))
        await other_session.execute("INSERT INTO claims (coupon_name, user_id) VALUES ('LAST', 'winner')")
        await other_session.execute("UPDATE coupons SET remaining_amount = 0 WHERE name = 'LAST'")

    assert (await winner).outcome is Outcome.ALREADY_CLAIMED
    assert (await loser).outcome is Outcome.SOLD_OUT


async def test_a_row_that_stays_locked_times_out_and_nothing_is_written(
    server: Server, strategy: Strategy, coupon: Coupon, other_session: asyncpg.Connection
) -> None:
    impatient = Limits(lock_timeout=0.2)
    async with open_database(server, impatient, application="couponctl/test") as database:
        service = CouponService(database, strategy=strategy)
        async with other_session.transaction():
            await other_session.execute("SELECT FROM coupons WHERE name = $1 FOR UPDATE", coupon.name)
            attempt = await service.claim(coupon.name, "alice")
        page = await service.show(coupon.name)

    assert attempt.outcome is Outcome.TIMED_OUT
    assert isinstance(attempt.refusal, TimedOut)
    assert page.claimed_by == ()


@pytest.mark.parametrize("strategy", [STATEMENT, TRANSACTION], ids=lambda strategy: strategy.name)
async def test_who_comes_to_a_crowd_waits_without_a_task_of_his_own(
    server: Server,
    strategy: Strategy,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    with_a_task: list[object],
) -> None:
    """Of nine, three are at the row and two wait before the crowd comes; and so it is the next time."""
    monkeypatch.setattr(single, "CROWD", 5)
    async with open_database(server, PATIENT, application="couponctl/test") as database:
        service = CouponService(database, strategy=strategy)
        await service.create("HOT", 19)
        await service.claim("HOT", "early")

        async def waiting() -> int:
            return database.waiting

        for when in ("first", "then"):
            with_a_task.clear()
            first, others = ([f"{when}-{n}" for n in numbers] for numbers in (range(3), range(3, 9)))
            async with other_session.transaction():
                await other_session.execute("SELECT FROM coupons WHERE name = 'HOT' FOR UPDATE")
                claims = [asyncio.create_task(service.claim("HOT", user)) for user in first]
                await until(lambda: _waiting_for_locks(observer), 3)
                claims += [asyncio.create_task(service.claim("HOT", user)) for user in others]
                await until(waiting, 6)

                assert len(with_a_task) == 5
            assert [(await claim).outcome for claim in claims] == [Outcome.CLAIMED] * 9


async def test_an_older_database_is_used_as_it_is(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("""
        DROP TABLE claims, coupons;
        CREATE TABLE coupons (
            name VARCHAR(255) PRIMARY KEY,
            amount INTEGER NOT NULL CHECK (amount > 0),
            remaining_amount INTEGER NOT NULL CHECK (remaining_amount >= 0),
            created_at TIMESTAMP DEFAULT now());
        CREATE TABLE claims (
            id SERIAL PRIMARY KEY,
            user_id VARCHAR(255) NOT NULL,
            coupon_name VARCHAR(255) NOT NULL REFERENCES coupons(name),
            created_at TIMESTAMP DEFAULT now(),
            UNIQUE(user_id, coupon_name));
        INSERT INTO coupons VALUES ('OLD', 2, 2, NULL);
    """)

    answers = [(await service.claim("OLD", user)).outcome for user in ("a", "a", "b", "c", "b")]

    assert answers == ["claimed", "already_claimed", "claimed", "sold_out", "already_claimed"]
    page = await service.show("OLD")
    assert (page.coupon.remaining_amount, page.coupon.created_at, page.claimed_by) == (0, None, ("a", "b"))
    assert (await service.verify()).ok
    assert [c.name for c in (await service.list()).coupons] == ["OLD"]
    await other_session.execute("UPDATE claims SET created_at = NULL WHERE user_id = 'b'")
    newest = await service.newest_claimants("OLD")
    assert [(claim.user_id, claim.created_at is None) for claim in newest] == [("a", False), ("b", True)]


@pytest.mark.parametrize(
    "name", ["[red]x[/red]", "a\x1bb", "\u202eabc", "新年快乐", "O'Brien; --", "a" * 255]
)
async def test_whatever_an_existing_database_holds_can_be_claimed(
    service: CouponService, other_session: asyncpg.Connection, name: str
) -> None:
    await other_session.execute("INSERT INTO coupons VALUES ($1, 1, 1)", name)

    assert (await service.claim(name, "alice")).outcome is Outcome.CLAIMED
    assert (await service.show(name)).coupon.name == name


async def test_a_sold_out_coupon_answers_without_its_lock(
    database: Database, sold_out_coupon: Coupon, other_session: asyncpg.Connection
) -> None:
    service = CouponService(database)
    async with other_session.transaction():
        await other_session.execute("SELECT FROM coupons WHERE name = $1 FOR UPDATE", sold_out_coupon.name)

        assert (await service.claim(sold_out_coupon.name, "late")).outcome is Outcome.SOLD_OUT


async def test_a_sold_out_coupon_answers_in_one_round_trip(
    database: Database, sold_out_coupon: Coupon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a second one would ask cannot be asked."""
    monkeypatch.setattr(single, "_now", None)

    attempt = await CouponService(database).claim(sold_out_coupon.name, "late")

    assert attempt.outcome is Outcome.SOLD_OUT


async def _waiting_for_locks(session: asyncpg.Connection) -> int:
    count: int = await session.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return count
