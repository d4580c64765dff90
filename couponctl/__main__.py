"""Entry point of the `couponctl` script and `python -m couponctl`; an early Ctrl-C shows no traceback."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import Literal

from couponctl.aio import signals

_YOUNG = 10_000
"""New objects after which the interpreter collects reference cycles.

Its default (700 in Python 3.11) makes it scan the same few hundred claims in flight again and again:
measured, `batched` with 500 of them is a tenth faster with this, and the start some milliseconds.
"""


def main() -> None:
    """Run the command line of this process, and exit."""
    _open_closed_streams()
    signals.end_at_once()
    gc.set_threshold(_YOUNG)
    if sys.flags.optimize > 1:
        sys.exit("couponctl: its sentences are docstrings, which python -OO removes; leave out -OO")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # better escaped than lost
    from couponctl.cli import run  # noqa: PLC0415 - a Ctrl-C while this loads must not show a traceback

    sys.exit(run(sys.argv[1:]))


def _open_closed_streams() -> None:
    """Open the standard streams that are closed, or the next file or socket would become one.

    Reading from such a stdin and writing to such a stdout fail, so that no answer is lost unnoticed;
    text written to such a stderr is lost.
    """
    for descriptor, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest free descriptor: this one
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")


def _stream(descriptor: int, mode: Literal["r", "w"]) -> TextIOWrapper:
    return open(descriptor, mode, encoding="utf-8", closefd=False)


if __name__ == "__main__":
    main()
