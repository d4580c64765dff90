"""The dependencies of the console; tests replace them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from couponctl.drills.reports.store import RunStore
    from couponctl.models import Activity, Audit, Claim, Claimants, Coupon, CouponPage, PoolStats, Sort
    from couponctl.sandbox.schema import Leftover
    from couponctl.service import Attempt
    from couponctl.settings import Settings
    from couponctl.tui.drill_runner import DrillRunner
    from couponctl.tui.events import EventLog


class CouponClient(Protocol):
    """The part of `CouponService` that the console uses."""

    async def create(self, name: str, amount: int) -> Coupon: ...

    async def claim(self, name: str, user_id: str) -> Attempt: ...

    async def show(self, name: str, *, limit: int = ..., after: str | None = ...) -> Claimants: ...

    async def list(
        self, *, matching: str = ..., sort: Sort = ..., limit: int = ..., after: str | None = ...
    ) -> CouponPage: ...

    async def verify(self, names: Sequence[str] = ...) -> Audit: ...

    async def newest_claimants(self, name: str, *, limit: int = ...) -> tuple[Claim, ...]: ...

    async def find_claim(self, name: str, user_id: str) -> Claim | None: ...

    def pool_stats(self) -> PoolStats: ...


class LeftoverSchemas(Protocol):
    """The schemas that drills left on the server."""

    async def find(self) -> tuple[Leftover, ...]: ...

    async def remove(self, found: Sequence[Leftover]) -> None: ...


@dataclass(frozen=True)
class Dependencies:
    """Everything outside of themselves that the screens use."""

    settings: Settings
    client: CouponClient
    look_at_server: Callable[[], Coroutine[Any, Any, Activity]]
    leftovers: LeftoverSchemas
    runs: RunStore
    runner: DrillRunner
    events: EventLog
    clock: Callable[[], float] = monotonic
    """Monotonic, in seconds."""
    now: Callable[[], datetime] = datetime.now
    """The operator's wall clock."""
