"""What Ctrl-C, SIGTERM and SIGHUP do to the program; while an event loop runs, that takes care of them.

Imports little: it is in place before all else, so that nobody who interrupts a start is shown a traceback.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(BaseException):
    """The operator or the system ended the command; its clean-up is done."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code


def handled() -> tuple[signal.Signals, ...]:
    """The signals that end the program; not those that it was started to ignore, as nohup does."""
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return tuple(number for number in ending if signal.getsignal(number) is not signal.SIG_IGN)


def exit_code(number: int) -> int:
    return 130 if number == signal.SIGINT else 143


def end_at_once() -> None:
    """From here on a signal ends the program with one sentence; the system closes what is open."""
    for number in handled():
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    leave("couponctl: interrupted", exit_code(number))


def leave(sentence: str, code: int) -> NoReturn:
    """Say the sentence and end the process on the spot, with the terminal as it was."""
    try:
        # A progress bar hides the cursor until it is done.
        os.write(2, (_SHOW_CURSOR + b"\r\n" if os.isatty(2) else b"") + sentence.encode() + b"\n")
    except OSError:
        pass  # the terminal is gone, and so is who would have read it
    finally:
        os._exit(code)
