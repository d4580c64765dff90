"""A drill in a process of its own, so that neither gets in the other's way.

In a thread the drill would share one interpreter with the console: its claims would be slower than without
a console, the console would stall while hundreds of them start, and the leak checks would count the
console's descriptors. In a process the drill is what `couponctl drill` is, and should the console be
killed, the drill hears of it, cleans up and ends; until then it keeps a private server up by itself.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

from couponctl.aio import signals
from couponctl.aio.event_loop import loop_for_load
from couponctl.drills.engine import run_drill
from couponctl.drills.progress import Progress
from couponctl.drills.reports.conclusion import aborted_words
from couponctl.drills.reports.report import Report
from couponctl.errors import CouponctlError

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill, Parameters
    from couponctl.drills.engine import Target
    from couponctl.drills.progress import View

_LOOK, _ABORT = "look", "abort"
"""What the console says to the drill."""

_VANISHED = "its process ended without a verdict"


class RunningDrill(Protocol):
    """A drill that was started, as the console sees it."""

    drill: Drill[Any]
    parameters: Parameters
    report: Report | None
    """Its end, where it had one; without the attempts."""
    failure: str
    """Why there is no report, in words."""
    aborted: bool
    left_behind: str | None
    """A schema that is on the server now."""

    @property
    def running(self) -> bool: ...

    def view(self) -> View: ...

    def abort(self) -> None:
        """Cancel it; it cleans up and ends."""

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""

    def kill(self) -> None:
        """End it on the spot; what it made on the server stays there."""


@dataclass(frozen=True, slots=True)
class Order:
    """A drill, and where and how it is to be run."""

    drill: Drill[Any]
    parameters: Parameters
    target: Target
    seed: int | None
    """None draws one."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the drill stands; the last one has its report, or says why there is none."""

    view: View
    left_behind: str | None
    report: Any = None
    """As JSON has it."""
    failure: str = ""


class DrillProcess:
    """Runs one drill, from its start to the end of its clean-up."""

    def __init__(self, order: Order, keeping: tuple[int, ...] = ()) -> None:
        """`keeping` are the descriptors that keep its server up, which its process inherits."""
        self.drill = order.drill
        self.parameters = order.parameters
        self.report: Report | None = None
        self.failure = ""
        self.aborted = False
        self.left_behind: str | None = None
        self._view = Progress().view()
        self._asked = False
        mine, theirs = socket.socketpair()
        self._line = Connection(mine.detach())
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import main; main({theirs.fileno()})"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *keeping),
                start_new_session=True,  # what the terminal tells the console is the console's to pass on
            )
        self._line.send(order)

    @property
    def running(self) -> bool:
        """Until it has said how it ended, and its process is gone."""
        self._hear()
        return not (self.report or self.failure) or self._process.poll() is None

    def view(self) -> View:
        """How it stood when it was last asked, which it is now again."""
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
            return False  # it has just ended, and what it said last is still to be heard
        return True

    def _hear(self) -> None:
        """Take in what the drill has said since the last time."""
        while not (self.report or self.failure):
            try:
                if not self._line.poll():
                    return
                standing: _Standing = self._line.recv()
            except (EOFError, OSError):
                self.failure = _VANISHED
                return
            self._asked = False
            self._view, self.left_behind = standing.view, standing.left_behind
            self.failure = standing.failure
            if standing.report is not None:
                self.report = Report.from_json(standing.report)


def main(descriptor: int) -> None:
    """The drill's own process: the order and all that follows come over the line."""
    signals.end_at_once()
    line = Connection(descriptor)
    try:
        order: Order = line.recv()
    except (EOFError, OSError):
        return  # the console went before it had said what to run
    with asyncio.Runner(loop_factory=loop_for_load) as runner:
        runner.run(_Performance(line, order).go())


class _Performance:
    """Runs the drill, and answers whoever asks how it stands."""

    def __init__(self, line: Connection, order: Order) -> None:
        self._line = line
        self._order = order
        self._progress = Progress()

    async def go(self) -> None:
        order = self._order
        task = asyncio.create_task(
            run_drill(order.drill, order.target, order.parameters, seed=order.seed, progress=self._progress)
        )
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._hear, task)
        for number in signals.handled():
            loop.add_signal_handler(number, task.cancel)
        try:
            self._say(report=(await task).as_json())
        except asyncio.CancelledError:
            self._say(failure=aborted_words(self._progress.view()))
        except CouponctlError as error:
            self._say(failure=str(error))
        except Exception as error:  # noqa: BLE001 - the console tells of it, whatever it is
            self._say(failure=f"unexpected: {type(error).__name__}")

    def _hear(self, task: asyncio.Task[Report]) -> None:
        try:
            word = self._line.recv()
        except (EOFError, OSError):  # the console is gone
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            word = _ABORT
        if word == _ABORT:
            task.cancel()
        else:
            self._say()

    def _say(self, *, report: Any = None, failure: str = "") -> None:
        standing = _Standing(self._progress.view(), self._progress.on_server.schema, report, failure)
        try:
            self._line.send(standing)
        except OSError:
            return  # nobody is there to hear it
