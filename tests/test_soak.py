"""Storms of claims with broken connections and cancellations: after each, all is as before it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from couponctl.drills.faults.proxy import Lost, WireProxy, wire_proxy
from couponctl.models import Outcome
from couponctl.postgres import engine
from couponctl.postgres.database import open_database
from couponctl.postgres.limits import Limits
from couponctl.service import Attempt, CouponService, RetryPolicy
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.postgres.libpq import Server

_CLAIMS = 100
_LIMITS = Limits(pool_size=5, acquire_timeout=5, lock_timeout=0.5, statement_timeout=0.7, command_timeout=1)
_RETRY_POLICY = RetryPolicy(base_delay=0.01, max_delay=0.05)
_END = 30.0
"""Seconds in which every claim of a storm has an end: far longer than all its limits together."""


_OWN_BACKENDS = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name = 'couponctl/soak' AND datname = current_database() ORDER BY pid
"""


class Breakage(Enum):
    """What becomes of connections, beside the cancellations."""

    KILL = "backends are terminated"
    RESET = "connections are reset"
    FREEZE = "answers never come"


@dataclass(frozen=True)
class Sea:
    """A service whose connections can be broken, and a look from outside."""

    service: CouponService
    proxy: WireProxy
    observer: asyncpg.Connection

    async def kill(self, chance: random.Random) -> None:
        for row in await self.observer.fetch(_OWN_BACKENDS):
            if chance.random() < 0.6:
                await self.observer.execute("SELECT pg_terminate_backend($1)", row["pid"])

    async def reset(self) -> None:
        upstream = self.proxy.upstream
        await self.proxy.cut()
        self.proxy.upstream = upstream


class Taken(NamedTuple):
    """What the claims hold of the process."""

    places: int = 0
    waiting: int = 0
    tasks: tuple[str, ...] = ()


@pytest.fixture
async def sea(server: Server, strategy: Strategy, observer: asyncpg.Connection) -> AsyncIterator[Sea]:
    async with (
        wire_proxy(server) as proxy,
        open_database(proxy.server, _LIMITS, application="couponctl/soak") as database,
    ):
        yield Sea(CouponService(database, strategy=strategy, retry_policy=_RETRY_POLICY), proxy, observer)


def strangers(known: set[asyncio.Task[Any]]) -> tuple[str, ...]:
    """Tasks that were not there before; those of the proxy live as long as their connections."""
    proxys = {"WireProxy.serve", "_pump"}
    new = asyncio.all_tasks() - known
    names = {task: getattr(task.get_coro(), "__qualname__", "") for task in new}
    return tuple(str(task) for task, name in names.items() if name not in proxys)


async def storm(sea: Sea, names: Sequence[str], chance: random.Random) -> list[Attempt | BaseException]:
    """Claims that are cancelled at any moment while their connections break; the ends of all of them."""
    breakage = chance.choices(list(Breakage), weights=[6, 3, 1])[0]
    if breakage is Breakage.FREEZE:
        sea.proxy.lose(Lost.HANG, names[0].encode(), times=chance.randint(1, 3))
    claims: list[asyncio.Task[Attempt]] = []
    for number in range(_CLAIMS):
        claims.append(asyncio.create_task(sea.service.claim(chance.choice(names), f"user-{number}")))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        match chance.choices(["go on", "cancel one", "cancel many", "break"], weights=[8, 8, 1, 3])[0]:
            case "cancel one":
                chance.choice(claims).cancel()
            case "cancel many":
                for claim in claims[-20:]:
                    claim.cancel()
            case "break" if breakage is Breakage.RESET:
                await sea.reset()
            case "break" if breakage is Breakage.KILL:
                await sea.kill(chance)
    _, hanging = await asyncio.wait(claims, timeout=_END)
    assert not hanging, f"{len(hanging)} claims have no end"
    sea.proxy.lose(Lost.HANG, b"what nobody sends")  # the storm is over, for what it has not frozen too
    return await asyncio.gather(*claims, return_exceptions=True)


async def ride_out(sea: Sea, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One storm, and a look at what it has left."""
    chance = random.Random(seed)
    names = [f"STORM-{seed}-{letter}" for letter in "ABCD"]
    monkeypatch.setattr(engine, "_RESTED", -1.0)
    for name in names:
        await sea.service.create(name, _CLAIMS + 1)
    await sea.service.database.warm()
    known = asyncio.all_tasks()
    monkeypatch.setattr(engine, "_RESTED", chance.choice([-1.0, 0.05]))
    ends = await storm(sea, names, chance)
    monkeypatch.setattr(engine, "_RESTED", -1.0)  # what died at the very end is found before it is lent

    async def taken() -> Taken:
        stats = sea.service.pool_stats()
        return Taken(stats.in_use, stats.waiting, strangers(known))

    await until(taken, Taken())
    assert [end for end in ends if not isinstance(end, Attempt | asyncio.CancelledError)] == []
    after = await sea.service.claim(names[0], "after the storm")
    assert after.outcome is Outcome.CLAIMED, after
    assert (await sea.service.verify(names)).ok
    told = {end[:2] for end in ends if isinstance(end, Attempt) and end.outcome is Outcome.CLAIMED}
    in_ledger = {(name, user) for name in names for user in (await sea.service.show(name)).claimed_by}
    assert told <= in_ledger


async def ride_out_all(sea: Sea, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in seeds:
        try:
            await ride_out(sea, seed, monkeypatch)
        except BaseException as exc:
            exc.add_note(f"in the storm with seed {seed}")
            print(f"to repeat it: make soak SEED={seed}")  # noqa: T201 - pytest shows it with the failure
            raise


async def test_a_few_storms_leave_nothing_behind(sea: Sea, monkeypatch: pytest.MonkeyPatch) -> None:
    await ride_out_all(sea, range(1, 11), monkeypatch)


@pytest.mark.soak
async def test_three_hundred_storms_leave_nothing_behind(
    sea: Sea, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    first = pytestconfig.getoption("storm")
    seeds = range(1, 301) if first is None else range(first, first + 1)

    await ride_out_all(sea, seeds, monkeypatch)
