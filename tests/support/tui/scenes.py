"""What the console works with, made by hand: nothing moves, so that a screen is the same every time.

What the database does is tested on the database; here it is what the screen makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from couponctl.drills.catalog import DRILLS
from couponctl.drills.progress import View
from couponctl.drills.reports.conclusion import aborted_words
from couponctl.drills.reports.store import RunStore
from couponctl.errors import AlreadyClaimed, CouponExists, CouponNotFound, SoldOut
from couponctl.models import (
    Activity,
    Audit,
    Backend,
    Claim,
    Claimants,
    Coupon,
    CouponPage,
    Outcome,
    PoolStats,
    ServerStats,
    Sort,
)
from couponctl.service import Attempt
from couponctl.settings import Embedded, Settings
from couponctl.tui.dependencies import Dependencies
from couponctl.tui.drill_runner import DrillRunner
from couponctl.tui.events import EventLog

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from pathlib import Path

    from couponctl.drills.drill import DrillSpec
    from couponctl.drills.reports.report import Report
    from couponctl.sandbox.schema import Leftover

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

PRIVATE = Settings(Embedded())

QUIET = PoolStats(
    size=4,
    in_use=0,
    idle=2,
    waiting=0,
    peak_in_use=2,
    peak_waiting=0,
    acquires=10,
    acquire_failures=0,
    acquire_p50_ms=1.0,
    acquire_p99_ms=2.5,
)


def coupon(name: str, amount: int = 100, remaining: int | None = None) -> Coupon:
    return Coupon(name, amount, amount if remaining is None else remaining, NOON)


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class StillClient:
    """A service without a database; `failure` is what every question then raises."""

    def __init__(self, *coupons: Coupon) -> None:
        self.coupons = {each.name: each for each in coupons}
        self.claims: dict[str, dict[str, Claim]] = {each.name: {} for each in coupons}
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None
        """What writers wait for, where there is one."""
        self.listed: asyncio.Event | None = None
        """What those wait for who ask for coupons, where there is one."""
        self.asked: list[tuple[Any, ...]] = []

    def _answer(self, *question: Any) -> None:
        self.asked.append(question)
        if self.failure is not None:
            raise self.failure

    def _find(self, name: str) -> Coupon:
        if name not in self.coupons:
            raise CouponNotFound(name)
        return self.coupons[name]

    async def create(self, name: str, amount: int) -> Coupon:
        self._answer("create", name, amount)
        if self.gate is not None:
            await self.gate.wait()
        if name in self.coupons:
            raise CouponExists(name)
        self.coupons[name] = Coupon(name, amount, amount, NOON + timedelta(seconds=len(self.coupons)))
        self.claims[name] = {}
        return self.coupons[name]

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._answer("claim", name, user_id)
        found = self._find(name)
        if user_id in self.claims[name]:
            return Attempt(name, user_id, Outcome.ALREADY_CLAIMED, AlreadyClaimed(name, user_id))
        if found.sold_out:
            return Attempt(name, user_id, Outcome.SOLD_OUT, SoldOut(name, user_id))
        self.claims[name][user_id] = Claim(user_id, NOON)
        self.coupons[name] = Coupon(name, found.amount, found.remaining_amount - 1, found.created_at)
        return Attempt(name, user_id, Outcome.CLAIMED)

    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        self._answer("show", name, after)
        users = sorted(user for user in self.claims.get(name, {}) if after is None or user > after)
        following = users[limit - 1] if len(users) > limit else None
        return Claimants(self._find(name), tuple(users[:limit]), following)

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        self._answer("list", matching, sort, after)
        if self.listed is not None:
            await self.listed.wait()
        keys: dict[Sort, Any] = {
            Sort.NAME: lambda c: c.name,
            Sort.REMAINING: lambda c: (c.remaining_amount, c.name),
            Sort.CLAIMED: lambda c: (-c.claimed_amount, c.name),
            Sort.AMOUNT: lambda c: (-c.amount, c.name),
            Sort.CREATED: lambda c: (-c.created_at.timestamp() if c.created_at else 0, c.name),
        }
        found = sorted(
            (c for c in self.coupons.values() if matching.lower() in c.name.lower()), key=keys[sort]
        )
        if after is not None:
            self._find(after)
            found = found[[c.name for c in found].index(after) + 1 :]
        return CouponPage(tuple(found[:limit]), found[limit - 1].name if len(found) > limit else None)

    async def verify(self, names: Sequence[str] = ()) -> Audit:
        self._answer("verify")
        return Audit(len(self.coupons), sum(map(len, self.claims.values())), ())

    async def newest_claimants(self, name: str, *, limit: int = 10) -> tuple[Claim, ...]:
        self._answer("newest", name)
        return tuple(self.claims.get(name, {}).values())[-limit:]

    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        self._answer("find", name, user_id)
        self._find(name)
        return self.claims[name].get(user_id)

    def pool_stats(self) -> PoolStats:
        return QUIET


@dataclass
class StillDrill:
    """A drill that does what the test says."""

    spec: DrillSpec[Any]
    shown: View
    report: Report | None = None
    failure: str = ""
    aborted: bool = False
    running: bool = True
    left_behind: str | None = None

    def view(self) -> View:
        return self.shown

    def abort(self) -> None:
        self.aborted = True
        self.end(failure=aborted_words(self.shown))

    def wait(self, seconds: float) -> bool:
        return not self.running

    def kill(self) -> None:
        self.end(failure="killed")

    def end(self, report: Report | None = None, failure: str = "") -> None:
        self.running, self.report, self.failure = False, report, failure


def view(**facts: Any) -> View:
    """A view of a storm that is under way."""
    under_way: dict[str, Any] = {
        "stage": "claiming",
        "done": 312,
        "total": 500,
        "outcomes": {"claimed": 50, "sold_out": 262},
        "cancelled": 0,
        "elapsed": 0.4,
        "histogram": {
            "claimed": (0, 0, 0, 2, 18, 30, 0, 0, 0, 0, 0, 0, 0, 0),
            "sold_out": (0, 0, 0, 0, 0, 40, 122, 100, 0, 0, 0, 0, 0, 0),
        },
        "p50_ms": 81.25,
        "p99_ms": 190.5,
        "waiting": tuple(range(0, 480, 16)),
        "checks": (),
        "pool": QUIET,
    }
    return View(**(under_way | facts))


@dataclass
class StillServer:
    """What the server does, as the test says."""

    activity: Activity
    failure: Exception | None = None

    async def look(self) -> Activity:
        if self.failure is not None:
            raise self.failure
        return self.activity


def activity(*backends: Backend, at: float = 1.0, commits: int = 100) -> Activity:
    lock_waits = sum(backend.waits_for_lock for backend in backends)
    stats = ServerStats("18.6", len(backends), 100, 1, 0, lock_waits, 3)
    return Activity(stats, backends, truncated=False, commits=commits, rollbacks=0, at=at)


@dataclass
class StillLeftovers:
    """Schemas that drills have left, as the test says."""

    found: tuple[Leftover, ...] = ()
    removed: list[Leftover] = field(default_factory=list)
    failure: Exception | None = None

    async def find(self) -> tuple[Leftover, ...]:
        if self.failure is not None:
            raise self.failure
        return self.found

    async def remove(self, found: Sequence[Leftover]) -> None:
        self.removed += found


@dataclass
class Scene:
    """What a console works with, and what a test moves behind it."""

    client: StillClient
    server: StillServer
    leftovers: StillLeftovers
    clock: Clock
    launched: list[StillDrill]
    dependencies: Dependencies


def scene(
    runs: Path,
    *coupons: Coupon,
    settings: Settings = PRIVATE,
    prefix: tuple[str, ...] = (),
) -> Scene:
    """A console's surroundings; kept runs go to the directory `runs`."""
    clock, launched = Clock(), []
    client, server, leftovers = StillClient(*coupons), StillServer(activity()), StillLeftovers()

    def launch(spec: DrillSpec[Any]) -> StillDrill:
        launched.append(StillDrill(spec, view()))
        return launched[-1]

    dependencies = Dependencies(
        settings=settings,
        client=client,
        look_at_server=server.look,
        leftovers=leftovers,
        runs=RunStore(runs),
        runner=DrillRunner(launch),
        events=EventLog(lambda: NOON, prefix),
        clock=clock,
        now=lambda: NOON,
    )
    return Scene(client, server, leftovers, clock, launched, dependencies)


FLASH_SALE = DRILLS[0]
