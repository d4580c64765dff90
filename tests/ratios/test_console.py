"""What the console costs: a drill that runs in it, and the machine while nothing happens."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import time
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.catalog.sale import SCALE
from couponctl.settings import Settings
from couponctl.tui.app import CouponApp
from couponctl.tui.console_main import open_dependencies
from tests.support.programs import finished
from tests.support.tui.windows import Window, window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

pytestmark = pytest.mark.benchmark

PAIRS = 9
"""Headless and console take turns, so that a slow moment of the machine meets both."""

USERS = 500


class Heartbeat:
    """How late the event loop comes to what is due; the longest since it was last asked."""

    _PERIOD = 0.002

    def __init__(self) -> None:
        self._latest = 0.0

    async def beat(self) -> None:
        while True:
            due = perf_counter() + self._PERIOD
            await asyncio.sleep(self._PERIOD)
            self._latest = max(self._latest, perf_counter() - due)

    def longest(self) -> float:
        """Seconds."""
        latest, self._latest = self._latest, 0.0
        return latest


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Heartbeat]:
    heartbeat = Heartbeat()
    task = asyncio.create_task(heartbeat.beat())
    yield heartbeat
    task.cancel()


@pytest.fixture
async def console(server: Server, limits: Limits) -> AsyncIterator[CouponApp]:
    """Open on the drills, and drawing by itself; the collector spares what is loaded, as in the program."""
    gc.freeze()
    async with open_dependencies(Settings(server, limits=limits), server, ()) as dependencies:
        app = CouponApp(dependencies)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            yield app
    gc.unfreeze()


async def test_a_drill_is_as_fast_in_the_console_and_does_not_stall_it(
    console: CouponApp, limits: Limits, environment: dict[str, str]
) -> None:
    ratios, stalls = [], []
    async with watched_loop() as heartbeat:
        for _ in range(PAIRS):
            headless = await asyncio.to_thread(claim_phase_headless, environment)
            heartbeat.longest()
            ratios.append(headless / await claim_phase_in(console, limits))
            stalls.append(heartbeat.longest() * 1000)
    ratio = statistics.median(ratios)

    print(f"\nclaims a second in the console / headless: {ratio:.2f} of {[round(r, 2) for r in ratios]}")  # noqa: T201
    print(f"longest stalls of the console's loop, ms: {[round(stall) for stall in stalls]}")  # noqa: T201
    assert ratio >= 0.9
    assert max(stalls) < 50


def claim_phase_headless(environment: dict[str, str]) -> float:
    """Milliseconds, as `couponctl drill` says."""
    drill = ("drill", "scale", "--n", str(USERS), "--pool-size", "5", "--yes", "--json")
    return float(json.loads(finished(*drill, environment=environment).out)["claim_phase_ms"])


async def claim_phase_in(console: CouponApp, limits: Limits) -> float:
    """Milliseconds, of the same drill in the console."""
    stage = console.dependencies.runner
    stage.run(SCALE.spec(limits, {"n": USERS}))
    while stage.running:
        await asyncio.sleep(0.02)
    state = stage.state()
    assert state is not None
    assert state.report is not None
    return state.report.claim_phase * 1000


SECONDS = 10.0


@pytest.fixture
def idle_console(plant: Callable[..., None], environment: dict[str, str]) -> Iterator[Window]:
    """The real program among twenty coupons of which nobody claims any."""
    for number in range(20):
        plant(f"C{number:02}", 100, ("alice", "bob"))
    with window(environment=environment) as console:
        console.see("newest claimants")
        yield console


def processor_seconds(process: int) -> float:
    with open(f"/proc/{process}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - not a file
        fields = stat.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("key", "sign"), [("1", "C19"), ("2", "blast radius"), ("3", "couponctl/tui"), ("4", "no runs yet")]
)
def test_an_idle_console_costs_next_to_nothing(idle_console: Window, key: str, sign: str) -> None:
    idle_console.type(key)
    idle_console.see(sign)
    idle_console.settle()
    used, shown, began = processor_seconds(idle_console.process.pid), len(idle_console.seen), time.monotonic()
    idle_console.until(lambda: time.monotonic() > began + SECONDS - 0.5)
    wall = time.monotonic() - began
    share = (processor_seconds(idle_console.process.pid) - used) / wall
    rate = (len(idle_console.seen) - shown) / wall

    print(f"\nidle in mode {key}: {share:.1%} of a processor, {rate:,.0f} bytes/s to the terminal")  # noqa: T201
    assert share < 0.04
    assert rate < 4096
