"""The `couponctl` script and `python -m couponctl`: the command line, quiet from its first moment on."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from typing import Literal

from couponctl.aio import signals

_YOUNG = 10_000
"""Objects after which the interpreter looks for garbage in circles.

After 700, its own measure, it looks again and again at the same few hundred claims in flight: measured,
`batched` with 500 of them is a tenth faster this way, and a start by some milliseconds.
"""


def main() -> None:
    """Run the command line that the process was started with, and exit."""
    _open_closed_streams()
    signals.end_at_once()
    gc.set_threshold(_YOUNG)
    if sys.flags.optimize > 1:
        sys.exit("couponctl: its sentences are docstrings, which python -OO removes; leave out -OO")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a sentence is better crooked than lost
    from couponctl.cli import run  # noqa: PLC0415 - a Ctrl-C while this loads must not show a traceback

    sys.exit(run(sys.argv[1:]))


def _open_closed_streams() -> None:
    """See to it that there are three standard streams, or the next file or socket would become one.

    Of a stdin that was closed nothing can be read, and to such a stdout nothing can be written: both fail,
    as an answer must not be lost unnoticed. What is said to such a stderr is lost.
    """
    for descriptor, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest that is free: this one
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")


def _stream(descriptor: int, mode: Literal["r", "w"]) -> TextIOWrapper:
    return open(descriptor, mode, encoding="utf-8", closefd=False)


if __name__ == "__main__":
    main()
