"""Where the time of an attempt went: the pool, the lock, the statements, the commit, by outcome."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from couponctl.postgres.pool_stats import nearest_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from couponctl.drills.journal import Entry
    from couponctl.models import Outcome


@dataclass(frozen=True, slots=True)
class Spread:
    """One phase of many attempts, in milliseconds to the microsecond; percentiles are nearest-rank."""

    n: int
    """Attempts for which the strategy measured the phase."""
    mean: float
    p50: float
    p99: float


def phases_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, Mapping[str, Spread]]:
    """Phase -> its spread, in the order of `Phases`; phases without a measurement are left out."""
    times: dict[Outcome, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        for phase, seconds in entry.phases._asdict().items():
            if seconds is not None:
                times[entry.outcome][phase].append(seconds * 1000)
    return {
        outcome: {phase: _spread(sorted(each)) for phase, each in phases.items()}
        for outcome, phases in sorted(times.items())
    }


def _spread(ordered: Sequence[float]) -> Spread:
    # As precise as in a file, so that a report reads back the same.
    p50, p99 = (round(nearest_rank(ordered, share) or 0.0, 3) for share in (0.50, 0.99))
    return Spread(len(ordered), round(fmean(ordered), 3), p50, p99)
