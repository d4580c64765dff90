"""Programs that are timed and weighed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COUPONCTL = (sys.executable, "-m", "couponctl")


@dataclass(frozen=True)
class Run:
    """A process that has ended well."""

    seconds: float
    megabytes: float
    """The most memory that it had resident."""
    out: str


def run(*command: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end. Its exit code must be 0."""
    began = perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=out)
        _pid, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        out.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        return Run(seconds, used.ru_maxrss * unit / 1e6, out.read())
