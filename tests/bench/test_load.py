"""Load on a service: who claims when, and what is counted as what."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from couponctl.bench import load
from couponctl.bench.load import Arrivals, Load, closed_load, open_load
from couponctl.bench.timed import Timed
from couponctl.errors import OutcomeUnknown, TimedOut
from couponctl.models import Outcome
from couponctl.service import Attempt, CouponService

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.postgres.database import Database


class Scripted(CouponService):
    """Answers as it is told, without a word to the database."""

    def __init__(self, database: Database, answer: Callable[[str], Awaitable[Attempt]]) -> None:
        super().__init__(database)
        self.answer = answer
        self.users: list[str] = []
        self.coupons: Counter[str] = Counter()

    async def claim(self, name: str, user_id: str) -> Attempt:
        self.users.append(user_id)
        self.coupons[name] += 1
        return await self.answer(user_id)


async def at_once(user_id: str) -> Attempt:
    await asyncio.sleep(0)
    return Attempt("X", user_id, Outcome.CLAIMED)


async def test_a_closed_load_keeps_so_many_in_flight_each_as_somebody_new(database: Database) -> None:
    under_way: list[int] = []
    now = 0

    async def answer(user_id: str) -> Attempt:
        nonlocal now
        now += 1
        under_way.append(now)
        await asyncio.sleep(0)
        now -= 1
        return await at_once(user_id)

    service = Scripted(database, answer)
    timed = await closed_load(service, ["A", "B"], 6, 0.05, users="u")

    assert max(under_way) == 6
    assert len(set(service.users)) == len(service.users) == timed.won > 6
    assert set(service.coupons) == {"A", "B"}
    assert timed.seconds >= 0.05
    assert timed.latencies == tuple(sorted(timed.latencies))


async def test_only_claims_that_were_won_count(database: Database) -> None:
    """One times out, one stays unknown, one finds that its lost claim was won after all."""
    answers = {
        "u-1": Attempt("X", "1", Outcome.TIMED_OUT, TimedOut("too long")),
        "u-2": Attempt("X", "2", Outcome.UNKNOWN, OutcomeUnknown()),
        "u-3": Attempt("X", "3", Outcome.ALREADY_CLAIMED, resolved=True),
        "u-4": Attempt("X", "4", Outcome.ALREADY_CLAIMED),
    }

    async def answer(user_id: str) -> Attempt:
        return answers.get(user_id) or await at_once(user_id)

    service = Scripted(database, answer)
    timed = (await open_load(service, ["X"], Load(rate=1000, seconds=0.1, seed=1), users="u")).timed

    number = len(service.users)
    assert (timed.won, timed.failed, timed.unknown) == (number - 3, 3, 1)
    assert len(timed.latencies) == number - 4


def test_arrivals_repeat_with_their_seed_and_come_at_the_rate() -> None:
    some = list(Load(rate=500, seconds=10, seed=7).arrivals())

    assert some == list(Load(rate=500, seconds=10, seed=7).arrivals()) == sorted(some)
    assert some != list(Load(rate=500, seconds=10, seed=8).arrivals())
    assert len(some) == pytest.approx(5000, rel=0.05)
    assert 0 < some[0] < some[-1] < 10


async def test_nobody_waits_for_the_answer_to_another(database: Database) -> None:
    released = asyncio.Event()
    everybody = len(list(Load(rate=400, seconds=0.1, seed=1).arrivals()))
    waiting = 0

    async def answer(user_id: str) -> Attempt:
        nonlocal waiting
        waiting += 1
        if waiting == everybody:
            released.set()
        await released.wait()
        return await at_once(user_id)

    arrivals = await open_load(Scripted(database, answer), ["X"], Load(400, 0.1, 1), users="u")

    assert arrivals.timed.won == everybody


async def test_who_waits_for_a_busy_client_has_waited(database: Database) -> None:
    """The client is blocked for a while: those meant to start meanwhile are late, and their wait counts."""
    blocked: list[str] = []

    async def answer(user_id: str) -> Attempt:
        if not blocked:
            blocked.append(user_id)
            time.sleep(0.2)  # noqa: ASYNC251 - it is to be blocked
        return await at_once(user_id)

    arrivals = await open_load(Scripted(database, answer), ["X"], Load(1000, 0.3, 1), users="u")

    latencies = arrivals.timed.latencies
    assert 100 < arrivals.late < len(latencies)
    assert latencies[-1] > 0.15
    assert sum(latency > 0.05 for latency in latencies) > 100


async def test_too_many_under_way_are_dropped_and_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MOST_OUTSTANDING", 10)
    over = asyncio.get_running_loop().time() + 0.15

    async def answer(user_id: str) -> Attempt:
        await asyncio.sleep(over - asyncio.get_running_loop().time())
        return await at_once(user_id)

    service = Scripted(database, answer)
    arrivals = await open_load(service, ["X"], Load(1000, 0.1, 1), users="u")

    came = len(list(Load(1000, 0.1, 1).arrivals()))
    assert (len(service.users), arrivals.dropped) == (10, came - 10)
    assert not arrivals.reached


@pytest.mark.parametrize(
    ("won", "seconds", "dropped", "reached"),
    [
        (1000, 1.0, 0, True),
        (1000, 1.04, 0, True),
        (1000, 1.1, 0, False),
        (900, 1.0, 0, False),
        (999, 1.0, 1, False),
    ],
)
def test_a_rate_is_reached_where_claims_are_won_as_fast_as_users_come(
    won: int, seconds: float, dropped: int, reached: bool
) -> None:
    timed = Timed(won, seconds, (0.001,) * won)

    assert Arrivals(timed, came_per_s=1000.0, late=0, dropped=dropped).reached is reached
