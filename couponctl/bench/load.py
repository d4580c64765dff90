"""Load on a service: closed, where the next claim waits for an answer, and open, where it does not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from couponctl.bench.pgbench import Timed
from couponctl.cancellation import task_group
from couponctl.models import Outcome
from couponctl.pool_watch import nearest_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.service import CouponService

MOST_OUTSTANDING = 10_000
"""Arrivals of an open load that may be under way; the next ones are dropped, and counted."""

_LATE = 0.010
"""Seconds after its time at which an arrival counts as late: then this client is the bottleneck."""


async def closed_load(
    service: CouponService, coupons: Sequence[str], *, in_flight: int, seconds: float, users: str
) -> Timed:
    """So many users at once, each of whom claims again, as somebody new, as soon as the answer is there.

    `users` begins the ids of this load's users, so that nobody is met twice.
    """
    latencies: list[float] = []
    began = perf_counter()
    until = began + seconds

    async def claim_on(number: int) -> None:
        coupon, turn, now = coupons[number % len(coupons)], 0, perf_counter()
        while now < until:
            turn += 1
            attempt = await service.claim(coupon, f"{users}-{number}-{turn}")
            ended = perf_counter()
            if attempt.outcome is Outcome.CLAIMED:
                latencies.append(ended - now)
            now = ended

    async with task_group() as group:
        for number in range(in_flight):
            group.create_task(claim_on(number))
    took = perf_counter() - began
    latencies.sort()
    return Timed(len(latencies), took, tuple(latencies))


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of an open load; latencies are from the moment at which each should have started."""

    wanted_per_s: float
    seconds: float
    won: int
    failed: int
    """Answers that no sale gives."""
    late: int
    dropped: int
    latencies: tuple[float, ...]
    """Sorted, in seconds."""

    @property
    def claims_per_s(self) -> float:
        return self.won / self.seconds

    @property
    def reached(self) -> bool:
        """Whether the load was what was asked for: nothing dropped, little late, and all but a few won."""
        return not self.dropped and self.claims_per_s >= 0.95 * self.wanted_per_s

    def percentile_ms(self, share: float) -> float:
        return nearest_rank(self.latencies, share, scale=1000) or 0.0


async def open_load(
    service: CouponService, coupons: Sequence[str], *, rate: float, seconds: float, seed: int, users: str
) -> Arrivals:
    """Users who come whether or not those before them have an answer: a Poisson process.

    After G. Tene's "coordinated omission": who has to wait for this client waits all the same, so the
    latency counts from the intended start.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
    latencies: list[float] = []
    outcomes: list[Outcome] = []
    late = dropped = outstanding = number = 0
    began = perf_counter()

    async def claim(coupon: str, user: str, intended: float) -> None:
        nonlocal outstanding
        attempt = await service.claim(coupon, user)
        outstanding -= 1
        outcomes.append(attempt.outcome)
        if attempt.outcome is Outcome.CLAIMED:
            latencies.append(perf_counter() - intended)

    async with task_group() as group:
        intended = began + draw.expovariate(rate)
        while intended < began + seconds:
            if (wait := intended - perf_counter()) > 0:
                await asyncio.sleep(wait)
            late += perf_counter() - intended > _LATE
            if outstanding >= MOST_OUTSTANDING:
                dropped += 1
            else:
                outstanding += 1
                number += 1
                group.create_task(claim(coupons[number % len(coupons)], f"{users}-{number}", intended))
            intended += draw.expovariate(rate)
            if number % 100 == 0:
                await asyncio.sleep(0)  # who is behind must let the others run all the same
    latencies.sort()
    won = len(latencies)
    took = max(seconds, perf_counter() - began)
    return Arrivals(rate, took, won, len(outcomes) - won, late, dropped, tuple(latencies))
