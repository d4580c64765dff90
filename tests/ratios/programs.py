"""Programs that are timed and weighed from outside."""

from __future__ import annotations

import os
import subprocess
import sys
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
    out: str


SCALES = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:])
_, status, used = os.wait4(process.pid, 0)
print(used.ru_maxrss, file=sys.stderr)
os._exit(os.waitstatus_to_exitcode(status) & 255)
"""
"""A process counts the memory of the one that it was forked from, so that has to be a small one."""


def run(*command: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run a program to its end and time it. Its exit code must be 0."""
    began = perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, check=True, text=True
    )
    return Run(perf_counter() - began, done.stdout)


def megabytes_of(*command: str, environment: Mapping[str, str]) -> float:
    """Run a program to its end. The most memory that it had resident."""
    done = subprocess.run(
        [sys.executable, "-c", SCALES, *command],
        env={**os.environ, **environment},
        capture_output=True,
        check=True,
        text=True,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stderr.splitlines()[-1]) * unit / 1e6
