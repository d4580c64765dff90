"""Load on a service: closed, where the next claim waits for an answer, and open, where it does not."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from couponctl.aio.cancellation import task_group
from couponctl.bench.timed import Answers, Timed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.service import CouponService

MOST_OUTSTANDING = 10_000
"""Arrivals of an open load that may be under way; the next ones are dropped, and counted."""

_LATE = 0.010
"""Seconds after its time at which an arrival counts as late: then this client is the bottleneck."""

_IN_A_ROW = 100
"""Overdue arrivals that are started before those under way get their turn."""


async def closed_load(
    service: CouponService, coupons: Sequence[str], in_flight: int, seconds: float, *, users: str
) -> Timed:
    """So many users at once, each of whom claims again, as somebody new, as soon as the answer is there.

    `users` begins the ids of this load's users, so that nobody is met twice.
    """
    answers = Answers()
    began = perf_counter()
    until = began + seconds

    async def claim_on(number: int) -> None:
        coupon, turn, now = coupons[number % len(coupons)], 0, perf_counter()
        while now < until:
            turn += 1
            attempt = await service.claim(coupon, f"{users}-{number}-{turn}")
            ended = perf_counter()
            answers.add(attempt, ended - now)
            now = ended

    async with task_group() as group:
        for number in range(in_flight):
            group.create_task(claim_on(number))
    took = perf_counter() - began
    latencies = tuple(sorted(answers.latencies))
    return Timed(answers.won, took, latencies, answers.unknown, answers.failed)


@dataclass(frozen=True, slots=True)
class Load:
    """An open load: users who come whether or not those before them have an answer."""

    rate: float
    """Arrivals a second, on the average."""
    seconds: float
    seed: int

    def arrivals(self) -> Iterator[float]:
        """When each comes, in seconds from the beginning: a Poisson process, the same for the same seed."""
        draw = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        at = draw.expovariate(self.rate)
        while at < self.seconds:
            yield at
            at += draw.expovariate(self.rate)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What became of an open load; latencies are from the moment at which each should have started."""

    timed: Timed
    came_per_s: float
    """What chance made of the rate that was asked for."""
    late: int
    """Started late, because this client was busy."""
    dropped: int
    """Never started, because too many were under way."""

    @property
    def reached(self) -> bool:
        """Whether claims were won as fast as users came."""
        return not self.dropped and self.timed.claims_per_s >= 0.95 * self.came_per_s


async def open_load(service: CouponService, coupons: Sequence[str], load: Load, *, users: str) -> Arrivals:
    """Put that load on the service, the arrivals in turn on the coupons.

    After G. Tene's "coordinated omission": who has to wait for this client waits all the same, so the
    latency counts from the intended start.
    """
    answers = Answers()
    late = dropped = outstanding = number = 0
    began = perf_counter()

    async def claim(coupon: str, user: str, intended: float) -> None:
        nonlocal outstanding
        attempt = await service.claim(coupon, user)
        outstanding -= 1
        answers.add(attempt, perf_counter() - intended)

    async with task_group() as group:
        for number, at in enumerate(load.arrivals(), start=1):
            intended = began + at
            if (wait := intended - perf_counter()) > 0:
                await asyncio.sleep(wait)
            elif number % _IN_A_ROW == 0:
                await asyncio.sleep(0)
            late += perf_counter() - intended > _LATE
            if outstanding >= MOST_OUTSTANDING:
                dropped += 1
                continue
            outstanding += 1
            group.create_task(claim(coupons[number % len(coupons)], f"{users}-{number}", intended))
    took = max(load.seconds, perf_counter() - began)
    latencies = tuple(sorted(answers.latencies))
    timed = Timed(answers.won, took, latencies, answers.unknown, answers.failed)
    return Arrivals(timed, number / load.seconds, late, dropped)
