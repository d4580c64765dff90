"""Bulk grants: streamed in both directions, and safe to run again after whatever went wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from couponctl import service as service_module
from couponctl.drills.faults.proxy import Lost, wire_proxy
from couponctl.errors import CouponNotFound, Guarded, Invalid, Unavailable
from couponctl.ledger.claims import BATCHED
from couponctl.models import Outcome
from couponctl.postgres.database import MAX_PER_COUPON, open_database
from couponctl.service import CouponService, RetryPolicy
from tests.support.waiting import DEADLINE, PATIENT, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import asyncpg

    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.service import Attempt

CLAIMED, ALREADY_CLAIMED, SOLD_OUT = Outcome.CLAIMED, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT

CHUNK = 10
"""Users of one batch in these tests."""

LOCK_WAITS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'couponctl/test' AND wait_event_type = 'Lock'
"""


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "_CHUNK", CHUNK)


@pytest.fixture
async def hot(service: CouponService) -> str:
    return (await service.create("HOT", 1000)).name


class Grant:
    """Users that are read one by one, and the answers that have come for them."""

    def __init__(self, number: int) -> None:
        self.users = [f"user-{n:03}" for n in range(number)]
        self.answers: list[Attempt] = []
        self.read = 0
        self.furthest_ahead = 0

    def __iter__(self) -> Iterator[str]:
        for user in self.users:
            self.read += 1
            self.furthest_ahead = max(self.furthest_ahead, self.read - len(self.answers))
            yield user

    def answered(self, batch: Sequence[Attempt]) -> None:
        self.answers += batch

    @property
    def outcomes(self) -> list[Outcome]:
        return [attempt.outcome for attempt in self.answers]


async def claimants(service: CouponService, coupon: str) -> tuple[str, ...]:
    return (await service.show(coupon, limit=10_000)).claimed_by


async def test_everybody_is_answered_in_order(service: CouponService) -> None:
    await service.create("FEW", 25)
    grant = Grant(40)

    await service.claim_many("FEW", grant, grant.answered)

    assert [attempt.user_id for attempt in grant.answers] == grant.users
    assert grant.outcomes == [CLAIMED] * 25 + [SOLD_OUT] * 15
    assert await claimants(service, "FEW") == tuple(grant.users[:25])


async def test_only_two_batches_are_read_ahead_of_the_answers(service: CouponService, hot: str) -> None:
    grant = Grant(30 * CHUNK)

    await service.claim_many(hot, grant, grant.answered)

    assert grant.outcomes == [CLAIMED] * 30 * CHUNK
    assert grant.furthest_ahead <= 2 * CHUNK


async def test_a_batch_is_one_commit(service: CouponService, hot: str, observer: asyncpg.Connection) -> None:
    grant = Grant(3 * CHUNK)

    await service.claim_many(hot, grant, grant.answered)

    assert await observer.fetchval("SELECT count(DISTINCT xmin::text) FROM claims") == 3


async def test_run_again_it_takes_nothing_more(service: CouponService, hot: str) -> None:
    first, again = Grant(25), Grant(30)
    await service.claim_many(hot, first, first.answered)
    await service.claim_many(hot, again, again.answered)

    assert again.outcomes == [ALREADY_CLAIMED] * 25 + [CLAIMED] * 5
    assert (await service.verify()).ok


async def test_a_lost_answer_in_the_middle_is_resolved(
    server: Server, limits: Limits, short_path: Path
) -> None:
    grant = Grant(3 * CHUNK)
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, limits, application="couponctl/test") as database,
    ):
        service = CouponService(database, retry_policy=RetryPolicy(base_delay=0.001, max_delay=0.01))
        await service.create("HOT", 100)
        proxy.lose(Lost.ANSWER, b"user-015")
        await service.claim_many("HOT", grant, grant.answered)

        assert proxy.losses == 1
        assert grant.outcomes == [CLAIMED] * CHUNK + [ALREADY_CLAIMED] * CHUNK + [CLAIMED] * CHUNK
        assert [attempt.resolved for attempt in grant.answers].count(True) == CHUNK
        assert (await service.show("HOT")).coupon.remaining_amount == 100 - 3 * CHUNK


async def test_after_a_server_that_failed_in_the_middle_the_same_grant_does_the_rest(
    service: CouponService, hot: str, server: Server, limits: Limits
) -> None:
    broken_off, again = Grant(5 * CHUNK), Grant(5 * CHUNK)
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, limits, application="couponctl/test") as database,
    ):
        failing = CouponService(database, retry_policy=RetryPolicy(attempts=2, base_delay=0.001))
        proxy.lose(Lost.REQUEST, b"user-025", times=100)
        with pytest.raises(Unavailable):
            await failing.claim_many(hot, broken_off, broken_off.answered)

    assert broken_off.outcomes == [CLAIMED] * 2 * CHUNK
    await service.claim_many(hot, again, again.answered)
    assert again.outcomes == [ALREADY_CLAIMED] * 2 * CHUNK + [CLAIMED] * 3 * CHUNK
    assert (await service.verify()).ok


async def test_cancelled_it_leaves_no_backend_that_waits(
    service: CouponService, hot: str, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    grant = Grant(3 * CHUNK)
    async with other_session.transaction():
        await other_session.execute("SELECT FROM coupons FOR UPDATE")
        task = asyncio.create_task(service.claim_many(hot, grant, grant.answered))
        await until(lambda: observer.fetchval(LOCK_WAITS), 1)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        await until(lambda: observer.fetchval(LOCK_WAITS), 0)

    assert task.cancelled()
    assert await claimants(service, hot) == ()
    assert service.pool_stats().in_use == 0


@pytest.mark.parametrize("stock", [1000, 2], ids=["enough for a batch", "too few for a batch"])
async def test_many_for_a_held_coupon_leave_connections_to_the_others(
    server: Server, other_session: asyncpg.Connection, observer: asyncpg.Connection, stock: int
) -> None:
    async with open_database(server, PATIENT, application="couponctl/test") as database:
        service = CouponService(database)
        await service.create("HOT", stock)
        await service.create("COOL", 1)
        grants = [Grant(3) for _ in range(9)]
        async with other_session.transaction():
            await other_session.execute("SELECT FROM coupons WHERE name = 'HOT' FOR UPDATE")
            tasks = [asyncio.create_task(service.claim_many("HOT", each, each.answered)) for each in grants]
            await until(lambda: observer.fetchval(LOCK_WAITS), MAX_PER_COUPON)

            async with asyncio.timeout(DEADLINE):
                assert (await service.claim("COOL", "alice")).outcome is CLAIMED
        await asyncio.gather(*tasks)

    assert sum(grant.outcomes.count(CLAIMED) for grant in grants) == min(stock, 3)


async def test_answers_that_nobody_can_take_stop_it(service: CouponService, hot: str) -> None:
    def disk_is_full(_: Sequence[Attempt]) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        await service.claim_many(hot, Grant(5 * CHUNK), disk_is_full)

    assert len(await claimants(service, hot)) <= 2 * CHUNK


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("ALTER TABLE claims ALTER user_id TYPE varchar(12)", "it is longer than the column allows"),
        (
            "ALTER TABLE claims ADD CONSTRAINT short CHECK (length(user_id) <= 12)",
            "a check forbids it (short)",
        ),
    ],
    ids=["narrow column", "rule"],
)
async def test_one_whom_this_database_refuses_is_named_and_all_others_are_served(
    service: CouponService, hot: str, other_session: asyncpg.Connection, damage: str, reason: str
) -> None:
    await other_session.execute(damage)
    grant = Grant(3 * CHUNK)
    grant.users[15] = "much too long a name"

    await service.claim_many(hot, grant, grant.answered)

    refused = grant.answers[15]
    assert grant.outcomes == [CLAIMED] * 15 + [Outcome.REFUSED] + [CLAIMED] * 14
    assert str(refused.refusal).startswith(
        f'The database refused "much too long a name" for "HOT": {reason}.'
    )
    assert len(await claimants(service, hot)) == 29
    assert (await service.verify()).ok


async def test_a_user_id_that_cannot_be_stops_it_before_its_batch(service: CouponService, hot: str) -> None:
    grant = Grant(3 * CHUNK)
    grant.users[25] = "bell\a"

    with pytest.raises(Invalid):
        await service.claim_many(hot, grant, grant.answered)

    assert not set(await claimants(service, hot)) & set(grant.users[2 * CHUNK :])


async def test_without_the_coupon_or_the_right_nobody_is_read(service: CouponService) -> None:
    def guarded() -> None:
        raise Guarded("it is read-only", "Choose another")

    grant = Grant(5)
    with pytest.raises(CouponNotFound):
        await service.claim_many("NEVER", grant, grant.answered)
    with pytest.raises(Guarded):
        await CouponService(service.database, strategy=BATCHED, may_write=guarded).claim_many(
            "NEVER", grant, grant.answered
        )

    assert grant.read == 0


async def test_nobody_to_grant_to_is_no_mistake(service: CouponService, hot: str) -> None:
    grant = Grant(0)

    await service.claim_many(hot, grant, grant.answered)

    assert grant.answers == []
