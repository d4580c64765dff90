"""The `couponctl` script and `python -m couponctl`: the command line, quiet from its first moment on."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from couponctl import interruption


def main() -> None:
    """Run the command line that the process was started with, and exit."""
    interruption.end_at_once()
    if sys.flags.optimize > 1:
        sys.exit("couponctl: its sentences are docstrings, which python -OO removes; leave out -OO")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a sentence is better crooked than lost
    from couponctl.cli import run  # noqa: PLC0415 - a Ctrl-C while this loads must not show a traceback

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
