"""Claims that were timed: how many were won, how fast, and how long each took."""

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
    """What a load has heard so far."""

    won: int = 0
    unknown: int = 0
    """May be in the ledger or not."""
    failed: int = 0
    """Heard what nobody hears for whom there is a unit; the unknown are among them."""
    latencies: list[float] = field(default_factory=list)
    """Of claims won, in seconds."""

    def add(self, attempt: Attempt, latency: float) -> None:
        if attempt.outcome is Outcome.CLAIMED:
            self.won += 1
            self.latencies.append(latency)
        elif attempt.resolved and attempt.outcome is Outcome.ALREADY_CLAIMED:
            self.won += 1  # with its answer lost, so it has no latency
        else:
            self.failed += 1
            self.unknown += attempt.outcome is Outcome.UNKNOWN


@dataclass(frozen=True, slots=True)
class Timed:
    """A load that is over."""

    won: int
    seconds: float
    """From the first start to the last answer, of those that have a latency."""
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
    """Of sorted seconds, in milliseconds; 0 of nothing."""
    return nearest_rank(latencies, share, scale=1000) or 0.0
