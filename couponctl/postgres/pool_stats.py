"""Pool statistics that SQLAlchemy does not keep."""

from __future__ import annotations

import math
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from couponctl.models import PoolStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.pool import AsyncAdaptedQueuePool

    from couponctl.postgres.queue import FairQueue

_REMEMBERED_ACQUIRES = 1000
"""Maximum number of acquire times kept for the percentiles."""
_PERCENTILE_SPAN = 60.0
"""Seconds that the percentiles look back."""


class PoolWatch:
    """Counts acquires and failures, times the waits for a connection, and keeps the peaks."""

    def __init__(self, pool: AsyncAdaptedQueuePool, queue: FairQueue[Any]) -> None:
        self._pool = pool
        self._queue = queue
        self._peak_in_use = 0
        self._peak_waiting = 0
        self._acquires = 0
        self._failures = 0
        self._acquired: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED_ACQUIRES)

    def queued(self) -> None:
        """Record that a task is about to wait for a connection."""
        self._peak_waiting = max(self._peak_waiting, self._queue.waiting + 1)

    def acquired(self, seconds: float) -> None:
        self._acquires += 1
        self._acquired.append((monotonic(), seconds))
        self._peak_in_use = max(self._peak_in_use, self._pool.checkedout())

    def gave_up(self) -> None:
        """Record that a wait for a connection timed out."""
        self._failures += 1

    def stats(self) -> PoolStats:
        since = monotonic() - _PERCENTILE_SPAN
        # The copy is atomic: another thread may be adding to the deque.
        times = sorted(seconds for moment, seconds in tuple(self._acquired) if moment > since)
        return PoolStats(
            size=self._pool.size(),
            in_use=self._pool.checkedout(),
            idle=self._pool.checkedin(),
            waiting=self._queue.waiting,
            peak_in_use=self._peak_in_use,
            peak_waiting=self._peak_waiting,
            acquires=self._acquires,
            acquire_failures=self._failures,
            acquire_p50_ms=nearest_rank(times, 0.50, scale=1000),
            acquire_p99_ms=nearest_rank(times, 0.99, scale=1000),
        )


def nearest_rank(ordered: Sequence[float], share: float, *, scale: float = 1) -> float | None:
    """Return the nearest-rank percentile of sorted values, always a measured one; None if there are none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] * scale
