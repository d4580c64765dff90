"""Advisory file locks, which the kernel releases when their process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from couponctl.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 90.0
"""Maximum seconds that a command waits for another one that starts or stops the server."""
MOMENT = 0.02
"""Seconds between two checks of something that is about to change."""


@contextmanager
def locked(path: Path, *, shared: bool) -> Iterator[int]:
    """Hold the lock of that file, shared or exclusively, and yield its descriptor.

    Child processes do not inherit the descriptor by default; one that does holds the lock, too.

    Raises Unreachable if another process keeps it for more than 90 s.
    """
    deadline = time.monotonic() + PATIENCE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while not _taken(descriptor, shared=shared):
            if time.monotonic() > deadline:
                raise Unreachable(reason=f"another process has been holding {path} for {PATIENCE:g} s")
            time.sleep(MOMENT)
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(path: Path, *, shared: bool = False) -> bool:
    """Whether that lock could be taken at once, exclusively or `shared`."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return _taken(descriptor, shared=shared)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
