"""The progress of a running drill: written by the drill, readable from any thread."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from couponctl.drills.histogram import BUCKETS, bucket_of
from couponctl.postgres.pool_stats import nearest_rank
from couponctl.sandbox.schema import OnServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from couponctl.drills.check import Check
    from couponctl.drills.histogram import Histogram
    from couponctl.models import Outcome, PoolStats
    from couponctl.postgres.database import Database

_REMEMBERED = 2048
"""Number of latencies that the percentiles of a view cover; the report's cover all."""


@dataclass(frozen=True, slots=True)
class View:
    """The state of a drill at one moment."""

    stage: str
    done: int
    total: int
    outcomes: Mapping[str, int]
    cancelled: int
    """Attempts that were cancelled before their answer; they count as done, but nobody got an answer."""
    elapsed: float
    """Seconds."""
    histogram: Mapping[str, Histogram]
    """By outcome."""
    p50_ms: float | None
    """Over the latest answers; None before the first."""
    p99_ms: float | None
    waiting: tuple[int, ...]
    """The maximum number of claims waiting for a connection, in equal slices of the time so far."""
    checks: tuple[Check, ...]
    """The checks that are decided."""
    pool: PoolStats | None
    """Of the pool under attack, while it is open."""

    @property
    def answered(self) -> int:
        """Number of attempts that got an answer."""
        return self.done - self.cancelled


class Timeline:
    """The maximum in each slice of time. When all slices are used, their length doubles: there is no end."""

    SLICES = 60

    def __init__(self) -> None:
        self._slice = 0.01
        self._highest: list[int] = []

    def record(self, at: float, value: int) -> None:
        """Record a value, `at` seconds after the start."""
        while at >= self._slice * self.SLICES:
            self._slice *= 2
            self._highest = [max(self._highest[i : i + 2]) for i in range(0, len(self._highest), 2)]
        index = int(at / self._slice)
        self._highest += [0] * (index + 1 - len(self._highest))
        self._highest[index] = max(self._highest[index], value)

    @property
    def values(self) -> tuple[int, ...]:
        return tuple(self._highest)


class Progress:
    """The progress of a drill; `view()` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.on_server = OnServer()
        self.begin()

    def begin(self) -> None:
        """Reset all counts, for the next drill."""
        with self._lock:
            self.stage = "starting"
            self._total = 0
            self._outcomes: Counter[Outcome] = Counter()
            self._cancelled = 0
            self._buckets: dict[Outcome, list[int]] = {}
            self._latest: deque[float] = deque(maxlen=_REMEMBERED)
            self._waiting = Timeline()
            self._checks: tuple[Check, ...] = ()
            self._pool: Database | None = None
            self._began = monotonic()

    def watch(self, database: Database) -> None:
        """Observe the pool under attack from now on."""
        self._pool = database

    def expect(self, attempts: int) -> None:
        with self._lock:
            self._total += attempts

    def answered(self, outcome: Outcome, latency: float) -> None:
        """Record the outcome of an attempt, after `latency` seconds."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._buckets.setdefault(outcome, [0] * BUCKETS)[bucket_of(latency * 1000)] += 1
            self._latest.append(latency)
            self._look_at_pool()

    def cancelled(self) -> None:
        """Record an attempt that was cancelled before its answer."""
        with self._lock:
            self._cancelled += 1
            self._look_at_pool()

    def decided(self, checks: Sequence[Check]) -> None:
        """Set the checks that are decided by now."""
        with self._lock:
            self._checks = tuple(checks)

    def view(self) -> View:
        with self._lock:
            self._look_at_pool()
            latest = sorted(self._latest)
            return View(
                stage=self.stage,
                done=self._outcomes.total() + self._cancelled,
                total=self._total,
                outcomes={outcome.value: count for outcome, count in self._outcomes.items()},
                cancelled=self._cancelled,
                elapsed=monotonic() - self._began,
                histogram={outcome.value: tuple(counts) for outcome, counts in self._buckets.items()},
                p50_ms=nearest_rank(latest, 0.50, scale=1000),
                p99_ms=nearest_rank(latest, 0.99, scale=1000),
                waiting=self._waiting.values,
                checks=self._checks,
                pool=None if self._pool is None else self._pool.pool_stats(),
            )

    def _look_at_pool(self) -> None:
        waiting = 0 if self._pool is None else self._pool.waiting
        self._waiting.record(monotonic() - self._began, waiting)
