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
"""Maximum number of arrivals of an open load in progress; further ones are dropped, and counted."""

_LATE = 0.010
"""Seconds after its time at which an arrival counts as late: this client is then the bottleneck."""

_IN_A_ROW = 100
"""Overdue arrivals to start before those in progress get their turn."""


async def closed_load(
    service: CouponService, coupons: Sequence[str], in_flight: int, seconds: float, *, users: str
) -> Timed:
    """Keep `in_flight` claims in progress: as soon as one is answered, a new user claims.

    `users` is the prefix of this load's user ids, so that no user claims twice.
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
    """An open load: users arrive whether or not those before them have an answer."""

    rate: float
    """Average arrivals per second."""
    seconds: float
    seed: int

    def arrivals(self) -> Iterator[float]:
        """Yield the arrival times in seconds from the start: a Poisson process, repeatable by its seed."""
        draw = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        at = draw.expovariate(self.rate)
        while at < self.seconds:
            yield at
            at += draw.expovariate(self.rate)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The result of an open load; latencies count from the moment at which each claim should have started."""

    timed: Timed
    came_per_s: float
    """The rate of arrivals as drawn at random, around the one that was asked for."""
    late: int
    """Started late because this client was busy."""
    dropped: int
    """Never started because too many were in progress."""

    @property
    def reached(self) -> bool:
        """Whether no arrival was dropped, and claims were won at 95 % or more of the rate of arrivals."""
        return not self.dropped and self.timed.claims_per_s >= 0.95 * self.came_per_s


async def open_load(service: CouponService, coupons: Sequence[str], load: Load, *, users: str) -> Arrivals:
    """Put the load on the service; the arrivals take turns on the coupons.

    It avoids G. Tene's "coordinated omission": users who have to wait for this client wait all the same, so
    the latency counts from the intended start.
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
