"""A report written by hand, for tests of what is made of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.drills.journal import Entry
from couponctl.drills.reports.phases import phases_by_outcome
from couponctl.drills.reports.report import Report, ReportedServer, histogram_by_outcome, latency_by_outcome
from couponctl.models import Outcome, Phases, PoolStats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from couponctl.drills.check import Check

UNTOLD = Phases()

POOL = PoolStats(
    size=5,
    in_use=0,
    idle=5,
    waiting=0,
    peak_in_use=5,
    peak_waiting=3,
    acquires=4,
    acquire_failures=0,
    acquire_p50_ms=1.0,
    acquire_p99_ms=2.0,
)


def entry(
    user: str,
    outcome: Outcome,
    milliseconds: float = 1.0,
    phases: Phases = UNTOLD,
    sentence: str = "",
) -> Entry:
    return Entry("X", user, 100.0, 100.0, 100.0 + milliseconds / 1000, outcome, sentence, phases)


SERVER = {"where": "sales@db:5432/shop", "version": "18.6", "max_connections": 100}


def report(
    *entries: Entry, checks: tuple[Check, ...] = (), server: Mapping[str, Any] = SERVER, **more: Any
) -> Report:
    """What the engine would make of these attempts, in a claim phase of two seconds."""
    outcomes: dict[Outcome, int] = {}
    for each in entries:
        outcomes[each.outcome] = outcomes.get(each.outcome, 0) + 1
    facts: dict[str, Any] = {
        "drill": "flash-sale",
        "run_id": "0badcafe",
        "parameters": {"pool_size": 5, "timeout": 30.0},
        "seed": 7,
        "strategy": "statement",
        "server": ReportedServer(server),
        "checks": checks,
        "outcomes": outcomes,
        "latency": latency_by_outcome(entries),
        "histogram": histogram_by_outcome(entries),
        "phases": phases_by_outcome(entries),
        "recovered": 0,
        "faults": (),
        "pool": POOL,
        "claim_phase": 2.0,
        "elapsed": 2.5,
        "began": 99.0,
        "attempts": tuple(entries),
    }
    return Report(**(facts | more))
