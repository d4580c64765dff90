"""How Ctrl-C, SIGTERM and SIGHUP end the program while no event loop handles them.

Imports little: the handlers are set before anything else, so that interrupting a start shows no traceback.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(BaseException):
    """The operator or the system ended the command, which has cleaned up."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code


def handled() -> tuple[signal.Signals, ...]:
    """Return the signals that end the program, except those ignored since its start, as under nohup."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return tuple(number for number in ending if signal.getsignal(number) is not signal.SIG_IGN)


def exit_code(number: int) -> int:
    return 130 if number == signal.SIGINT else 143


def end_at_once() -> None:
    """Make signals end the program at once, with one sentence; the system closes what is open."""
    for number in handled():
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    leave("couponctl: interrupted", exit_code(number))


def leave(sentence: str, code: int) -> NoReturn:
    """Print the sentence to stderr and end the process at once, with the cursor visible."""
    try:
        # A progress bar hides the cursor until it is done.
        os.write(2, (_SHOW_CURSOR + b"\r\n" if os.isatty(2) else b"") + sentence.encode() + b"\n")
    except OSError:
        pass  # the terminal is gone, and its reader too
    finally:
        os._exit(code)
