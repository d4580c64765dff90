"""What the screens draw: one frozen snapshot of everything that changes by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from couponctl.drills.progress import View
    from couponctl.drills.reports.report import Report
    from couponctl.models import PoolStats


@dataclass(frozen=True, slots=True)
class DrillState:
    """The running drill, or the last one."""

    name: str
    view: View
    running: bool
    aborting: bool
    report: Report | None
    failure: str
    """Why there is no report, in words."""

    @property
    def done(self) -> int:
        """Number of attempts done; of an aborted drill, only those that were answered."""
        broken_off = self.aborting or not (self.running or self.report)
        return self.view.answered if broken_off else self.view.done


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the console at one moment."""

    pool: PoolStats
    """The console's own."""
    drill: DrillState | None
    lag_ms: int
    """How late the event loop took this snapshot, in steps of 5 ms."""
