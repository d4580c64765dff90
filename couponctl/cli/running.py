"""The boundary of the asynchronous code: one event loop per command, and what signals do to it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from couponctl.aio import signals
from couponctl.aio.signals import Interrupted
from couponctl.errors import CouponctlError
from couponctl.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from couponctl.cli.invocation import Invocation

T = TypeVar("T")

_log = logger(__name__)

_GRACE = 2.0
"""Seconds that the clean-up has left after a second Ctrl-C."""

_LEFT = "schema {} is left: `couponctl drill clean` removes it"


def run(
    invocation: Invocation,
    work: Coroutine[Any, Any, T],
    *,
    left_behind: Callable[[], str | None] | None = None,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run the command's work to its end.

    The first Ctrl-C (or SIGTERM, SIGHUP) cancels it and waits for its clean-up. After a second one the
    clean-up has 2 s left, after a third none; then the program ends and says what `left_behind` names.
    `loop` makes the event loop, if it is not to be asyncio's own.
    """
    with _signals_as_before(), asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(_Interruptible(invocation, left_behind or (lambda: None)).guard(work))


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Restore the signal handlers, which the event loop replaces with Python's own when it ends."""
    handlers = {number: signal.getsignal(number) for number in signals.handled()}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class _Interruptible:
    def __init__(self, invocation: Invocation, left_behind: Callable[[], str | None]) -> None:
        self._invocation = invocation
        self._left_behind = left_behind
        self._signals: list[signal.Signals] = []

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        for number in signals.handled():
            loop.add_signal_handler(number, self._interrupt, number, task)
        try:
            return await task
        except (asyncio.CancelledError, Exception) as exc:
            if not self._signals:
                raise
            if isinstance(exc, CouponctlError):
                self._invocation.say(f"couponctl: {exc}")
            if left := self._left_behind():
                self._invocation.say(f"couponctl: {_LEFT.format(left)}")
            raise Interrupted(self._exit_code) from exc

    @property
    def _exit_code(self) -> int:
        return signals.exit_code(self._signals[0])

    def _interrupt(self, number: signal.Signals, task: asyncio.Task[Any]) -> None:
        self._signals.append(number)
        _log.info("%s: the command stops and cleans up.", number.name)
        match len(self._signals):
            case 1:
                task.cancel()
                if self._left_behind():
                    self._invocation.say(
                        "couponctl: stopping and cleaning up; Ctrl-C again to skip the clean-up"
                    )
            case 2:
                asyncio.get_running_loop().call_later(_GRACE, self._give_up)
            case _:
                self._give_up()

    def _give_up(self) -> None:
        # Nothing that the loop still holds may keep the operator waiting: the system closes it all.
        left = self._left_behind()
        _log.warning("The clean-up was skipped; left on the server: %s.", left or "nothing")
        rest = _LEFT.format(left) if left else "nothing is left on the server"
        signals.leave(f"couponctl: clean-up skipped, {rest}", self._exit_code)
