"""Exhaustion: a pool without a free connection, statements and locks that take too long."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from couponctl.aio.cancellation import gather_all
from couponctl.drills.check import Check, equals
from couponctl.drills.drill import Drill, Parameters, parameter
from couponctl.drills.faults.database import Fault, Point, drained_pool, held_row, slow_at
from couponctl.errors import TimedOut
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.drills.context import DrillContext
    from couponctl.postgres.database import Database
    from couponctl.postgres.limits import Limits

COUPON, LOCKED = "PATIENCE", "LOCKED"


@dataclass(frozen=True, kw_only=True)
class Exhaustion(Parameters):
    pool_size: int = parameter(2, "connections in the drill's pool, all of them held")
    n: int = parameter(10, "users who claim meanwhile")
    wait: float = parameter(0.5, "seconds that a claim waits for a connection", at_least=0.05)

    def limits(self, limits: Limits) -> Limits:
        return replace(limits, pool_size=self.pool_size, acquire_timeout=self.wait)


async def _claim_from_a_drained_pool(context: DrillContext, exhaustion: Exhaustion) -> list[Check]:
    users = [f"user-{number}" for number in range(1, exhaustion.n + 1)]
    await context.create(COUPON, exhaustion.n)
    async with context.fault(drained_pool(context.service.database)):
        began = perf_counter()
        await context.storm(COUPON, users)
        took = perf_counter() - began
    refused = list(context.journal.entries)
    failures = context.service.pool_stats().acquire_failures
    retries = [await context.claim(COUPON, user) for user in users]
    exhausted = [entry for entry in refused if entry.outcome is Outcome.POOL_EXHAUSTED]
    too_soon = sum(entry.latency < exhaustion.wait * 0.9 for entry in exhausted)
    return [
        equals(
            "claims-exhausted",
            'claims that get "pool exhausted" while the pool is held',
            exhaustion.n,
            len(exhausted),
        ),
        Check(
            "failures-counted",
            "acquire timeouts that the pool counts",
            "at least 1",
            failures,
            held=failures > 0,
        ),
        equals("refused-too-early", "claims refused before their wait was over", 0, too_soon),
        Check(
            "slowest-refusal",
            "all of them are refused within",
            f"within {exhaustion.wait + 1:g} s",
            f"{took:.2f} s",
            held=took < exhaustion.wait + 1,
        ),
        equals("retries-won", "retries won after the release", exhaustion.n, retries.count(Outcome.CLAIMED)),
    ]


@dataclass(frozen=True, kw_only=True)
class Slowness(Parameters):
    limit: float = parameter(1.0, "seconds that the server allows a statement or a lock wait", at_least=0.2)

    def limits(self, limits: Limits) -> Limits:
        return replace(
            super().limits(limits),
            statement_timeout=self.limit * 2,
            lock_timeout=self.limit,
            command_timeout=self.limit * 2 + 5,
        )


async def _take_too_long(context: DrillContext, slowness: Slowness) -> list[Check]:
    await context.create(COUPON, 3 + slowness.pool_size * 2)
    await context.create(LOCKED, 2)
    async with context.observer() as observer:
        clock = _ServerClock(observer)
        sleeping = await clock.time(lambda: _sleep(context, slowness.limit * 8))
        async with (
            context.fault(slow_at(Point.AFTER_INSERT, observer, slowness.limit * 8)),
            context.fault(held_row(observer, LOCKED)),
        ):
            inserting = await clock.time(lambda: _claim_in_pairs(context))
        async with context.fault(held_row(observer, COUPON)):
            locking = await clock.time(lambda: context.claim(COUPON, "behind a held lock"))
    late = list(context.journal.entries)
    outcomes = [entry.outcome for entry in late]
    again = [await context.claim(entry.coupon, entry.user_id) for entry in late]
    healthy = [
        await context.claim(COUPON, f"afterwards-{number}") for number in range(slowness.pool_size * 2)
    ]
    return [
        equals("timeouts-told", 'claims that get "timed out"', len(late), outcomes.count(Outcome.TIMED_OUT)),
        equals(
            "second-tries-won",
            "claims won on the second try by those timed out",
            len(late),
            again.count(Outcome.CLAIMED),
        ),
        _near(
            "sleep-ends", "a statement that sleeps ends at statement_timeout", slowness.limit * 2, sleeping
        ),
        _near(
            "slow-claim-ends",
            "claims that are slow after their insert end there too",
            slowness.limit * 2,
            inserting,
        ),
        _near("lock-wait-ends", "a claim behind a held row ends at lock_timeout", slowness.limit, locking),
        equals("claims-afterwards", "claims won afterwards", len(healthy), healthy.count(Outcome.CLAIMED)),
    ]


async def _claim_in_pairs(context: DrillContext) -> None:
    """Make batches of several too slow: one after its inserts, one before them."""
    await gather_all(*(context.claim(name, f"{n} at once") for name in (COUPON, LOCKED) for n in (1, 2)))


async def _sleep(context: DrillContext, seconds: float) -> None:
    context.faults.append(fault := Fault("slow statement"))
    try:
        async with context.service.database.session("AUTOCOMMIT") as session:
            await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
    except TimedOut:
        fault.happened += 1


class _ServerClock:
    """Times work by the server's own clock, so that a busy client does not count."""

    def __init__(self, observer: Database) -> None:
        self._observer = observer

    async def time(self, work: Callable[[], Awaitable[object]]) -> float:
        """Return the seconds that the work took."""
        began = await self._now()
        await work()
        return await self._now() - began

    async def _now(self) -> float:
        async with self._observer.session("AUTOCOMMIT") as session:
            clock = select(func.extract("epoch", func.clock_timestamp()))
            return float((await session.execute(clock)).scalar_one())


_SLACK = 1.0
"""Seconds that a busy server and the round trip to its clock may add; half of it was seen under load."""


def _near(check_id: str, promise: str, expected: float, took: float) -> Check:
    held = expected * 0.8 <= took <= expected + _SLACK
    return Check(check_id, promise, f"{expected:g} s to {expected + _SLACK:g} s", f"{took:.2f} s", held=held)


POOL_EXHAUSTION = Drill(
    name="pool-exhaustion",
    title="every connection of the pool is held",
    promise="claims are refused in time and as exhausted; after the release all of them succeed",
    blast_radius="its own schema and pool",
    parameters=Exhaustion,
    attack=_claim_from_a_drained_pool,
    faults=("drained pool",),
)

QUERY_TIMEOUT = Drill(
    name="query-timeout",
    title="statements and locks that take too long",
    promise="each ends at its time limit, rolled back, and the connection goes on",
    blast_radius="its own schema and pool",
    parameters=Slowness,
    attack=_take_too_long,
    faults=("slow statement", "slow after insert", "held row lock"),
)
