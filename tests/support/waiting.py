"""Waiting for a state of the world, with a deadline instead of a guess."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from couponctl.postgres.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds."""

PATIENT = Limits(
    pool_size=5,
    lock_timeout=10 * DEADLINE,
    statement_timeout=10 * DEADLINE,
    command_timeout=10 * DEADLINE,
)
"""Nothing that hangs ends by itself before the deadline."""


async def until(measure: Callable[[], Awaitable[T]], expected: T) -> None:
    """Poll until `measure` gives what is expected; fails with the last value after the deadline."""
    ends = time.monotonic() + DEADLINE
    while (measured := await measure()) != expected:
        assert time.monotonic() < ends, f"{measured!r} instead of {expected!r} after {DEADLINE:g} s"
        await asyncio.sleep(0.01)
