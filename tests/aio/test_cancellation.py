"""Cancelled claims: nothing half-done, no connection lost, no backend that waits on."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from couponctl.aio.cancellation import cancel_once, shielded
from couponctl.ledger.claims import single
from couponctl.models import Outcome
from couponctl.service import CouponService
from tests.support.waiting import DEADLINE, PATIENT, until

if TYPE_CHECKING:
    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.postgres.limits import Limits

STUCK = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'couponctl/test'
       AND (state LIKE 'idle in transaction%' OR wait_event_type = 'Lock')
"""


@pytest.fixture
def limits() -> Limits:
    return PATIENT


@pytest.fixture
def service(database: Database, strategy: Strategy) -> CouponService:
    return CouponService(database, strategy=strategy)


@pytest.mark.parametrize("crowd", [single.CROWD, 0], ids=["few", "crowd"])
async def test_claims_cancelled_at_random_points_leave_a_balanced_ledger(
    service: CouponService, other_session: asyncpg.Connection, crowd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 tasks, each claiming again and again; 1,000 cancellations, some of them twice in a row."""
    monkeypatch.setattr(single, "CROWD", crowd)
    await service.create("STORM", 100_000)
    chance = random.Random(1)
    serial = iter(range(10**9))

    async def claim_on() -> None:
        while True:
            await service.claim("STORM", f"user-{next(serial)}")

    tasks = [asyncio.create_task(claim_on()) for _ in range(200)]
    for _ in range(1000):
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        victim = chance.randrange(len(tasks))
        tasks[victim].cancel()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
            tasks[victim].cancel()
        tasks.append(asyncio.create_task(claim_on()))
        tasks[victim] = tasks.pop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    async def in_use() -> int:
        return service.pool_stats().in_use

    await until(in_use, 0)
    await until(lambda: other_session.fetchval(STUCK), 0)
    assert (await service.verify()).ok
    assert (await service.claim("STORM", "after the storm")).outcome is Outcome.CLAIMED
    assert service.pool_stats().waiting == 0


async def test_a_claim_cancelled_again_and_again_in_the_lock_wait_ends_its_backend(
    service: CouponService,
    strategy: Strategy,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
) -> None:
    async with other_session.transaction():
        await other_session.execute("SELECT FROM coupons WHERE name = $1 FOR UPDATE", coupon.name)
        claims = [asyncio.create_task(service.claim(coupon.name, f"user-{n}")) for n in range(3)]
        await until(lambda: observer.fetchval(STUCK), strategy.max_per_coupon)
        async with asyncio.timeout(DEADLINE):
            while not all(claim.done() for claim in claims):
                for claim in claims:
                    claim.cancel()
                await asyncio.sleep(0)
        await until(lambda: observer.fetchval(STUCK), 0)

    assert all(claim.cancelled() for claim in claims)
    assert (await service.show(coupon.name)).claimed_by == ()


async def test_a_cancellation_reaches_the_work_once_and_waits_for_its_end() -> None:
    heard: list[str] = []
    cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            await cleaned.wait()
            raise

    task = asyncio.create_task(cancel_once(work()))
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    cleaned.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"]


async def test_clean_up_runs_to_its_end_and_passes_the_cancellation_on() -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def clean_up() -> None:
        await go_on.wait()
        done.set()

    task = asyncio.create_task(shielded(clean_up()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    go_on.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()
