"""Where the asynchronous part begins and ends: one event loop a command, and what signals do to it."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, TypeVar

from couponctl.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from couponctl.cli.invocation import Invocation

T = TypeVar("T")

_GRACE = 2.0
"""Seconds that the clean-up has left after a second Ctrl-C."""


class Interrupted(BaseException):
    """The operator or the system ended the command; its clean-up is done."""

    def __init__(self, exit_code: ExitCode) -> None:
        self.exit_code = exit_code


def run(
    invocation: Invocation,
    work: Coroutine[Any, Any, T],
    *,
    left_behind: Callable[[], str | None] | None = None,
) -> T:
    """Run the command's work to its end.

    The first Ctrl-C (or SIGTERM, SIGHUP) cancels it and waits for its clean-up. After a second one the
    clean-up has a moment left, then the program ends and says what `left_behind` names.
    """
    interruption = _Interruption(invocation, left_behind or (lambda: None))
    return asyncio.run(interruption.guard(work))


class _Interruption:
    def __init__(self, invocation: Invocation, left_behind: Callable[[], str | None]) -> None:
        self._invocation = invocation
        self._left_behind = left_behind
        self._signals: list[signal.Signals] = []

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt, number, task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._signals:
                raise
            raise Interrupted(self._exit_code) from None

    @property
    def _exit_code(self) -> ExitCode:
        return ExitCode.INTERRUPTED if self._signals[0] is signal.SIGINT else ExitCode.TERMINATED

    def _interrupt(self, number: signal.Signals, task: asyncio.Task[Any]) -> None:
        self._signals.append(number)
        match len(self._signals):
            case 1:
                task.cancel()
                if self._left_behind():
                    self._invocation.say("couponctl: stopping and cleaning up; Ctrl-C again to skip that")
            case 2:
                asyncio.get_running_loop().call_later(_GRACE, self._give_up)
            case _:
                self._give_up()

    def _give_up(self) -> None:
        # Nothing that the loop still holds may keep the operator waiting: the system closes it all.
        left = self._left_behind()
        self._invocation.say(
            f"couponctl: clean-up skipped, schema {left} is left: `couponctl drill clean` removes it"
            if left
            else "couponctl: clean-up skipped, nothing is left on the server"
        )
        os._exit(self._exit_code)
