"""What a drill returns: checks, tallies, latencies, pool peaks and a verdict."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from couponctl.drills.drill import Verdict
from couponctl.drills.faults.database import Fault
from couponctl.drills.histogram import BOUNDS_MS, BUCKETS, histogram
from couponctl.drills.reports.check_ids import check_of
from couponctl.drills.reports.decode import Facts, flat, of, whole
from couponctl.drills.reports.phases import Spread
from couponctl.drills.reports.slo import Level
from couponctl.errors import Invalid
from couponctl.models import Outcome, PoolStats
from couponctl.postgres.pool_stats import nearest_rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from couponctl.drills.check import Check
    from couponctl.drills.histogram import Histogram
    from couponctl.drills.journal import Entry

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
class ReportedServer:
    """The server of a run, as far as its report knows it; its words are not yet safe to print."""

    facts: Mapping[str, Any]
    """What the document holds: older reports may lack some, those of a later version may have more."""

    @property
    def version(self) -> str:
        return self._fact("version")

    @property
    def where(self) -> str:
        return self._fact("where")

    @property
    def place(self) -> str:
        """The same within a sentence."""
        return self._fact("where", otherwise="an unknown server")

    def _fact(self, name: str, *, otherwise: str = "unknown") -> str:
        return str(self.facts.get(name, otherwise))


@dataclass(frozen=True, slots=True)
class Report:
    """One run of one drill."""

    drill: str
    run_id: str
    parameters: Mapping[str, float]
    seed: int
    strategy: str
    server: ReportedServer
    checks: tuple[Check, ...]
    outcomes: Mapping[Outcome, int]
    latency: Mapping[Outcome, Latency]
    histogram: Mapping[Outcome, Histogram]
    phases: Mapping[Outcome, Mapping[str, Spread]]
    """Where the time went, as far as the strategy measures it."""
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
    """Why nothing can be concluded, in words; empty if something can."""
    left_behind: str | None = None
    """A schema that could not be dropped."""
    unlogged: bool = False
    """Its tables were in no publication, and nothing is proven about a crash of the server."""
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

    @property
    def answers(self) -> int:
        """Number of attempts; each has an answer, if only `unknown`."""
        return sum(self.outcomes.values())

    @property
    def leading(self) -> Outcome | None:
        """The outcome whose latency represents the run: claimed, or the most frequent if nobody won."""
        if Outcome.CLAIMED in self.latency:
            return Outcome.CLAIMED
        return max(self.latency, key=lambda outcome: self.latency[outcome].n, default=None)

    @property
    def claims_per_s(self) -> float | None:
        """Claims won per second of the claim phase, to three decimals; None if the phase took no time."""
        won = self.outcomes.get(Outcome.CLAIMED, 0)
        return round(won / self.claim_phase, 3) if self.claim_phase else None

    def as_json(self) -> dict[str, Any]:
        """The documented shape; times in milliseconds. What it leaves out is the journal."""
        return {
            "schema": SCHEMA_VERSION,
            "drill": self.drill,
            "run_id": self.run_id,
            "verdict": self.verdict.value,
            "params": dict(self.parameters),
            "seed": self.seed,
            "strategy": self.strategy,
            "checks": [asdict(check) for check in self.checks],
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
            "pool": self.pool and asdict(self.pool),
            "claim_phase_ms": round(self.claim_phase * 1000, 3),
            "elapsed_ms": round(self.elapsed * 1000, 3),
            "server": dict(self.server.facts),
            "unfinished": self.unfinished or None,
            "left_behind": self.left_behind,
            "unlogged": self.unlogged,
        }

    @classmethod
    def from_json(cls, document: object) -> Report:
        """Read a report from the JSON of `as_json`, without its journal; unknown fields are ignored.

        The verdict is not read: it follows from the checks. Raises Invalid for any other document.
        """
        facts = Facts(document)
        if facts.one("schema", int) != SCHEMA_VERSION:
            raise Invalid("report", "another version of couponctl wrote it")
        pool = facts.perhaps("pool", dict)
        return cls(
            drill=facts.one("drill", str),
            run_id=facts.one("run_id", str),
            parameters=facts.numbers("params"),
            seed=facts.one("seed", int),
            strategy=facts.one("strategy", str),
            server=ReportedServer(facts.table("server")),
            checks=tuple(map(check_of, facts.items("checks"))),
            outcomes={outcome: whole(count, outcome) for outcome, count in _by_outcome(facts, "outcomes")},
            latency={outcome: flat(Latency, each) for outcome, each in _by_outcome(facts, "latency_ms")},
            histogram=_histograms(Facts(facts.table("histogram"))),
            phases={outcome: _spreads(each) for outcome, each in _by_outcome(facts, "phases_ms")},
            recovered=facts.one("recovered", int),
            faults=tuple(flat(Fault, fault) for fault in facts.items("faults")),
            pool=None if pool is None else flat(PoolStats, pool),
            claim_phase=facts.number("claim_phase_ms") / 1000,
            elapsed=facts.number("elapsed_ms") / 1000,
            unfinished=facts.perhaps("unfinished", str) or "",
            left_behind=facts.perhaps("left_behind", str),
            unlogged=facts.given("unlogged", bool, otherwise=False),
            slos=tuple(map(Level.from_json, facts.items("slos"))),
        )


def _by_outcome(facts: Facts, field: str) -> Iterator[tuple[Outcome, Any]]:
    for name, value in facts.table(field).items():
        try:
            yield Outcome(name), value
        except ValueError as exc:
            raise Invalid("report", f"{field} is of an unknown outcome") from exc


def _spreads(phases: object) -> dict[str, Spread]:
    return {phase: flat(Spread, spread) for phase, spread in of(dict, phases, "phases_ms").items()}


def _histograms(facts: Facts) -> dict[Outcome, Histogram]:
    """Raises Invalid if other bounds were used: their buckets would be taken for ours."""
    histograms = {
        outcome: tuple(whole(count, "histogram") for count in of(list, counts, "histogram"))
        for outcome, counts in _by_outcome(facts, "counts")
    }
    if facts.items("bounds_ms") != list(BOUNDS_MS) or {*map(len, histograms.values())} - {BUCKETS}:
        raise Invalid("report", "its histogram has other buckets")
    return histograms


def _rounded(times: Mapping[str, float]) -> dict[str, float]:
    """To the microsecond."""
    return {name: round(value, 3) for name, value in times.items()}


def latency_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, Latency]:
    return {outcome: _latency(sorted(times)) for outcome, times in _times_by_outcome(entries).items()}


def histogram_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, Histogram]:
    return {outcome: histogram(times) for outcome, times in _times_by_outcome(entries).items()}


def _times_by_outcome(entries: Sequence[Entry]) -> dict[Outcome, list[float]]:
    """Latencies in milliseconds, as precise as in a file, so that a report reads back the same."""
    times: dict[Outcome, list[float]] = defaultdict(list)
    for entry in entries:
        times[entry.outcome].append(round(entry.latency * 1000, 3))
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
