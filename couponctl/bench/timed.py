"""Timed claims: how many were won, how fast, and how long each took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from couponctl.models import Outcome
from couponctl.postgres.pool_stats import nearest_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.service import Attempt


@dataclass(slots=True)
class Answers:
    """The answers to a load so far."""

    won: int = 0
    unknown: int = 0
    """Claims that may or may not be in the ledger."""
    failed: int = 0
    """Other answers, none of which is expected while units are left; the unknown ones are among them."""
    latencies: list[float] = field(default_factory=list)
    """Of claims won, in seconds."""

    def add(self, attempt: Attempt, latency: float) -> None:
        if attempt.outcome is Outcome.CLAIMED:
            self.won += 1
            self.latencies.append(latency)
        elif attempt.resolved and attempt.outcome is Outcome.ALREADY_CLAIMED:
            self.won += 1  # its answer was lost, so it has no latency
        else:
            self.failed += 1
            self.unknown += attempt.outcome is Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Timed:
    """The result of a load."""

    won: int
    seconds: float
    """The time over which the latencies were measured."""
    latencies: tuple[float, ...]
    """Sorted, in seconds."""
    unknown: int = 0
    failed: int = 0

    @property
    def claims_per_s(self) -> float:
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def p50_ms(self) -> float:
        return percentile_ms(self.latencies, 0.50)

    @property
    def p99_ms(self) -> float:
        return percentile_ms(self.latencies, 0.99)


def percentile_ms(latencies: Sequence[float], share: float) -> float:
    """Return the percentile of sorted latencies in seconds, as milliseconds; 0 if there are none."""
    return nearest_rank(latencies, share, scale=1000) or 0.0
