"""The running drill, or the last one: at most one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.logs import logger
from couponctl.tui.snapshot import DrillState

if TYPE_CHECKING:
    from collections.abc import Callable

    from couponctl.drills.drill import DrillSpec
    from couponctl.tui.drill_process import RunningDrill

    Launch = Callable[[DrillSpec[Any]], RunningDrill]


_log = logger(__name__)

_PATIENCE = 10.0
"""Seconds that an aborted drill gets for its clean-up before it is killed."""


class DrillRunner:
    """Starts and aborts drills, and reports their state."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._current: RunningDrill | None = None
        self._announced = True

    @property
    def running(self) -> bool:
        return self._current is not None and self._current.running

    def run(self, spec: DrillSpec[Any]) -> None:
        assert not self.running
        self._current = self._launch(spec)
        self._announced = False

    def abort(self) -> None:
        if self._current is not None:
            self._current.abort()

    def end(self) -> None:
        """Abort the running drill and wait for its clean-up; kill it if it does not end in time."""
        drill = self._current
        if drill is None:
            return
        if drill.running:
            drill.abort()
        if not drill.wait(_PATIENCE):
            _log.warning("A drill did not end within %g s and is killed: its schema may stay.", _PATIENCE)
            drill.kill()

    def just_ended(self) -> RunningDrill | None:
        """Return the drill that has ended since the last call; None if none has."""
        if self._announced or self.running:
            return None
        self._announced = True
        return self._current

    def state(self) -> DrillState | None:
        drill = self._current
        if drill is None:
            return None
        running = drill.running
        return DrillState(
            name=drill.spec.drill.name,
            view=drill.view(),
            running=running,
            aborting=drill.aborted and running,
            report=drill.report,
            failure=drill.failure,
        )
