"""What a drill returns: checks, tallies, latencies, pool peaks and a verdict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from couponctl.database import nearest_rank
from couponctl.drills.drill import Check, Verdict
from couponctl.drills.histogram import BOUNDS_MS, histogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from couponctl.drills.histogram import Histogram
    from couponctl.drills.journal import Entry
    from couponctl.drills.phases import Spread
    from couponctl.drills.slo import Level
    from couponctl.faults import Fault
    from couponctl.models import Outcome, PoolStats

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Latency:
    """Nearest-rank percentiles of one outcome, in milliseconds."""

    n: int
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one drill."""

    drill: str
    run_id: str
    parameters: Mapping[str, float]
    seed: int
    strategy: str
    server: Mapping[str, Any]
    checks: tuple[Check, ...]
    outcomes: Mapping[Outcome, int]
    latency: Mapping[Outcome, Latency]
    histogram: Mapping[Outcome, Histogram]
    phases: Mapping[Outcome, Mapping[str, Spread]]
    """Where the time went, as far as the strategy can tell."""
    recovered: int
    """Claims that got no answer and are in the ledger."""
    faults: tuple[Fault, ...]
    """What was broken on purpose, and how often it took effect."""
    pool: PoolStats | None
    """None when the drill never had a pool."""
    claim_phase: float
    """Seconds from the first intended start to the last answer."""
    elapsed: float
    """Seconds, clean-up included."""
    unfinished: str = ""
    """Why nothing can be concluded, in words; empty when the final read happened."""
    left_behind: str | None = None
    """A schema that could not be dropped."""
    slos: tuple[Level, ...] = ()
    """The service levels that were asked for, and what was observed."""
    began: float = 0.0
    """On the clock of the attempts."""
    attempts: tuple[Entry, ...] = field(default=(), repr=False)
    """The journal, in the order of the answers."""

    @property
    def broken(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.held)

    @property
    def verdict(self) -> Verdict:
        if self.broken:
            return Verdict.FAIL
        if self.unfinished or not self.outcomes:
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    def as_json(self) -> dict[str, Any]:
        """The documented shape; times in milliseconds."""
        return {
            "schema": SCHEMA_VERSION,
            "drill": self.drill,
            "run_id": self.run_id,
            "verdict": self.verdict.value,
            "params": dict(self.parameters),
            "seed": self.seed,
            "strategy": self.strategy,
            "checks": [
                {"promise": c.promise, "expected": c.expected, "observed": c.observed, "held": c.held}
                for c in self.checks
            ],
            "outcomes": {outcome.value: count for outcome, count in self.outcomes.items()},
            "recovered": self.recovered,
            "faults": [{"name": fault.name, "happened": fault.happened} for fault in self.faults],
            "latency_ms": {outcome.value: _rounded(asdict(each)) for outcome, each in self.latency.items()},
            "histogram": {
                "bounds_ms": list(BOUNDS_MS),
                "counts": {outcome.value: list(counts) for outcome, counts in self.histogram.items()},
            },
            "phases_ms": {
                outcome.value: {phase: _rounded(asdict(spread)) for phase, spread in phases.items()}
                for outcome, phases in self.phases.items()
            },
            "slos": [level.as_json() for level in self.slos],
            "pool": self._pool_as_json(),
            "claim_phase_ms": round(self.claim_phase * 1000, 3),
            "elapsed_ms": round(self.elapsed * 1000, 3),
            "server": dict(self.server),
            "unfinished": self.unfinished or None,
            "left_behind": self.left_behind,
        }

    def _pool_as_json(self) -> dict[str, Any] | None:
        if self.pool is None:
            return None
        return {
            "size": self.pool.size,
            "peak_in_use": self.pool.peak_in_use,
            "peak_waiting": self.pool.peak_waiting,
            "acquire_failures": self.pool.acquire_failures,
            "acquire_p50_ms": self.pool.acquire_p50_ms,
            "acquire_p99_ms": self.pool.acquire_p99_ms,
        }


def _rounded(times: Mapping[str, float]) -> dict[str, float]:
    """To the microsecond."""
    return {name: round(value, 3) for name, value in times.items()}


def latency_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, Latency]:
    return {outcome: _latency(sorted(times)) for outcome, times in _times_by_outcome(entries).items()}


def histogram_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, Histogram]:
    return {outcome: histogram(times) for outcome, times in _times_by_outcome(entries).items()}


def _times_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, list[float]]:
    """Latencies in milliseconds."""
    times: dict[Outcome, list[float]] = defaultdict(list)
    for entry in entries:
        times[entry.outcome].append(entry.latency * 1000)
    return dict(sorted(times.items()))


def _latency(ordered: Sequence[float]) -> Latency:
    p50, p90, p95, p99 = (nearest_rank(ordered, share) or 0.0 for share in (0.50, 0.90, 0.95, 0.99))
    return Latency(len(ordered), p50, p90, p95, p99, ordered[-1])


def worst(reports: Sequence[Report]) -> Verdict:
    """The verdict over several drills; INCONCLUSIVE over none."""
    verdicts = {report.verdict for report in reports}
    return next(
        (v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in verdicts), Verdict.INCONCLUSIVE
    )
