"""A drill in a thread of its own, with its own event loop and its own connections.

The console's loop stays fluent while 500 claims are in flight, and a terminal that does not take its
output cannot hold up a transaction.
"""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Protocol

from couponctl.drills.engine import run_drill
from couponctl.drills.progress import Progress
from couponctl.errors import CouponctlError

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill, Parameters
    from couponctl.drills.engine import Target
    from couponctl.drills.progress import View
    from couponctl.drills.report import Report


class RunningDrill(Protocol):
    """A drill that was started, as the console sees it."""

    drill: Drill[Any]
    parameters: Parameters
    report: Report | None
    """Its end, where it had one."""
    failure: str
    """Why there is no report, in words."""
    aborted: bool

    @property
    def running(self) -> bool: ...

    @property
    def left_behind(self) -> str | None:
        """A schema that is on the server now."""

    def view(self) -> View: ...

    def abort(self) -> None:
        """Cancel it; it cleans up and ends."""

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""


class DrillThread:
    """Runs one drill, from `start` to the end of its clean-up."""

    def __init__(self, drill: Drill[Any], target: Target, parameters: Parameters, seed: int | None) -> None:
        self.drill = drill
        self.parameters = parameters
        self.report: Report | None = None
        self.failure = ""
        self.aborted = False
        self._target = target
        self._seed = seed
        self._progress = Progress()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Report] | None = None
        self._last_view: View | None = None
        self._begun = Event()
        self._ended = Event()

    def start(self) -> None:
        # A daemon: a server that never answers must not keep the process from ending.
        Thread(target=self._run, name=f"drill {self.drill.name}", daemon=True).start()
        self._begun.wait()

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    @property
    def left_behind(self) -> str | None:
        return self._progress.left_behind

    def view(self) -> View:
        return self._last_view or self._progress.view()

    def abort(self) -> None:
        if self.running and not self.aborted:
            assert self._loop is not None
            assert self._task is not None
            self.aborted = True
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:
                self._ended.wait()  # the loop has closed: it is ending by itself

    def wait(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self.report = runner.run(self._go())
        except asyncio.CancelledError:
            self.failure = "aborted"
        except CouponctlError as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - the console goes on, whatever became of the drill
            self.failure = f"unexpected: {type(error).__name__}"
        finally:
            self._last_view = self._progress.view()
            self._begun.set()
            self._ended.set()

    async def _go(self) -> Report:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._begun.set()
        return await run_drill(
            self.drill, self._target, self.parameters, seed=self._seed, progress=self._progress
        )
