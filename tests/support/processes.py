"""Processes of this machine, as `ps` tells of them, and waiting for their end."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 15.0
"""Seconds that a busy machine may take to end something."""


class Process(NamedTuple):
    """One that lives: the dead whom nobody has buried yet are not counted."""

    pid: int
    parent: int
    command: str


def processes(naming: object = "") -> list[Process]:
    """All in whose command line that word or path occurs."""
    table = subprocess.check_output(["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], text=True)
    rows = [line.split(maxsplit=3) for line in table.splitlines()]
    return [
        Process(int(pid), int(parent), command[0])
        for pid, parent, state, *command in rows
        if command and not state.startswith("Z") and str(naming) in command[0]
    ]


def children_of(parent: int) -> list[int]:
    return [process.pid for process in processes() if process.parent == parent]


def soon(happens: Callable[[], bool]) -> bool:
    """Whether it happens before long."""
    deadline = time.monotonic() + LONG
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(*pids: int) -> bool:
    """Whether those processes end before long."""
    return soon(lambda: not {process.pid for process in processes()} & set(pids))
