"""Latencies counted in buckets, the same in live views, reports and saved runs."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
"""Inclusive upper bounds in milliseconds; one more bucket counts everything slower."""

BUCKETS = len(BOUNDS_MS) + 1

Histogram = tuple[int, ...]
"""The number of latencies in each bucket."""


def bucket_of(milliseconds: float) -> int:
    return bisect_left(BOUNDS_MS, milliseconds)


def histogram(latencies_ms: Iterable[float]) -> Histogram:
    counts = [0] * BUCKETS
    for latency in latencies_ms:
        counts[bucket_of(latency)] += 1
    return tuple(counts)


def bucket_words(bucket: int) -> str:
    """Return the label of a bucket on an axis."""
    bound = BOUNDS_MS[min(bucket, len(BOUNDS_MS) - 1)]
    sign = "≤" if bucket < len(BOUNDS_MS) else ">"
    return f"{sign}{bound} ms" if bound < 1_000 else f"{sign}{bound // 1_000} s"
