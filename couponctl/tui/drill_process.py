"""A drill in a process of its own, so that drill and console do not disturb each other.

In a thread the drill would share one interpreter with the console: its claims would be slower than without a
console, the console would stall while hundreds of them start, and the leak checks would count the console's
descriptors. In a process the drill is what `couponctl drill` is. If the console is killed, the drill notices,
cleans up and ends; until then it keeps a private server running by itself.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from couponctl.aio import signals
from couponctl.aio.event_loop import loop_for_load
from couponctl.drills.engine import run_drill
from couponctl.drills.progress import Progress
from couponctl.drills.reports.conclusion import aborted_words
from couponctl.errors import CouponctlError
from couponctl.logs import logger
from couponctl.logs.log_file import Log, open_file
from couponctl.logs.raised import raised

if TYPE_CHECKING:
    from couponctl.drills.drill import DrillSpec
    from couponctl.drills.engine import Target
    from couponctl.drills.progress import View
    from couponctl.drills.reports.report import Report

_log = logger(__name__)

_LOOK, _ABORT = "look", "abort"
"""The console's messages to the drill."""

_VANISHED = "its process ended without a verdict"


class RunningDrill(Protocol):
    """A started drill, as the console sees it."""

    spec: DrillSpec[Any]
    report: Report | None
    """None until there is one, if there ever is; without the attempts."""
    failure: str
    """Why there is no report, in words."""
    aborted: bool
    left_behind: str | None
    """A schema that is on the server now."""

    @property
    def running(self) -> bool: ...

    def view(self) -> View: ...

    def abort(self) -> None:
        """Cancel the drill; it cleans up and ends."""

    def wait(self, seconds: float) -> bool:
        """Wait at most that many seconds; return whether the drill has ended."""

    def kill(self) -> None:
        """Kill the drill at once; what it made on the server stays there."""


@dataclass(frozen=True, slots=True)
class _InheritedLog:
    """The console's log, to which the drill writes, too."""

    descriptor: int
    level: int


@dataclass(frozen=True, slots=True)
class Order:
    """A drill to be run, and where."""

    spec: DrillSpec[Any]
    target: Target
    log: _InheritedLog | None = None
    """Filled in when the process is started."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """The state of the drill; the last one has the report, or the reason why there is none."""

    view: View
    left_behind: str | None
    report: Report | None = None
    """Without the attempts."""
    failure: str = ""


class DrillProcess:
    """Runs one drill, from its start to the end of its clean-up."""

    def __init__(self, order: Order, keeping: tuple[int, ...] = ()) -> None:
        """`keeping` are the descriptors that keep the drill's server running; its process inherits them."""
        self.spec = order.spec
        self.report: Report | None = None
        self.failure = ""
        self.aborted = False
        self.left_behind: str | None = None
        self._view = Progress().view()
        self._asked = False
        log = open_file()
        mine, theirs = socket.socketpair()
        self._line = Connection(mine.detach())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import main; main({theirs.fileno()})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *keeping, *((log.descriptor,) if log else ())),
                start_new_session=True,  # the terminal signals the console alone, which ends the drill
            )
        inherited = None if log is None else _InheritedLog(log.descriptor, log.level)
        self._line.send(replace(order, log=inherited))
        _log.info("Drill %s runs in process %s.", order.spec.drill.name, self._process.pid)

    @property
    def running(self) -> bool:
        """True until the drill has said how it ended and its process has exited."""
        self._hear()
        return not (self.report or self.failure) or self._process.poll() is None

    def view(self) -> View:
        """Return the state as of the last answer, and ask for a new one."""
        if self.running and not self._asked:
            self._asked = self._say(_LOOK)
        return self._view

    def abort(self) -> None:
        if self.running and not self.aborted:
            self.aborted = self._say(_ABORT)

    def wait(self, seconds: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return not self.running

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _say(self, word: str) -> bool:
        try:
            self._line.send(word)
        except OSError:
            return False  # the drill has just ended; its last message is not read yet
        return True

    def _hear(self) -> None:
        """Receive what the drill has sent since the last call."""
        while not (self.report or self.failure):
            try:
                if not self._line.poll():
                    return
                standing: _Standing = self._line.recv()
            except (EOFError, OSError):
                self.failure = _VANISHED
                _log.warning("Drill process %s ended without a verdict.", self._process.pid)
                return
            self._asked = False
            self._view, self.left_behind = standing.view, standing.left_behind
            self.failure = standing.failure
            self.report = standing.report


def main(descriptor: int) -> None:
    """Run the drill's own process: the order and all other messages come over the connection."""
    signals.end_at_once()
    line = Connection(descriptor)
    try:
        order: Order = line.recv()
    except (EOFError, OSError):
        return  # the console ended before it sent an order
    if order.log is not None:
        Log(order.log.descriptor, order.log.level)
    with asyncio.Runner(loop_factory=loop_for_load) as runner:
        runner.run(_Drilling(line, order).go())


class _Drilling:
    """Runs the drill, and answers requests for its state."""

    def __init__(self, line: Connection, order: Order) -> None:
        self._line = line
        self._order = order
        self._progress = Progress()

    async def go(self) -> None:
        order = self._order
        task = asyncio.create_task(run_drill(order.spec, order.target, progress=self._progress))
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._hear, task)
        for number in signals.handled():
            loop.add_signal_handler(number, task.cancel)
        try:
            self._say(report=replace(await task, attempts=()))
        except asyncio.CancelledError:
            self._say(failure=aborted_words(self._progress.view()))
        except CouponctlError as error:
            self._say(failure=str(error))
        except Exception as error:  # noqa: BLE001 - the console reports it, whatever it is
            _log.error("The drill broke: %s.", raised(error))
            self._say(failure=f"unexpected: {type(error).__name__}")

    def _hear(self, task: asyncio.Task[Report]) -> None:
        try:
            word = self._line.recv()
        except (EOFError, OSError):  # the console is gone
            _log.warning("The console is gone: the drill is aborted and cleans up.")
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            word = _ABORT
        if word == _ABORT:
            task.cancel()
        else:
            self._say()

    def _say(self, *, report: Report | None = None, failure: str = "") -> None:
        standing = _Standing(self._progress.view(), self._progress.on_server.schema, report, failure)
        try:
            self._line.send(standing)
        except OSError:
            return  # the console is gone
