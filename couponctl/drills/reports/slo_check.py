"""Service levels compared with a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from couponctl.drills.reports.slo import Level
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from couponctl.drills.reports.report import Report
    from couponctl.drills.reports.slo import Objective

_ANSWERS = {Outcome.CLAIMED, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT, Outcome.NOT_FOUND}
"""The regular answers of a sale; any other is an error to the user."""


def held_to(report: Report, objectives: Iterable[Objective]) -> Report:
    """Return the report with every objective compared with it."""
    return replace(report, slos=tuple(_held(objective, report) for objective in objectives))


def _held(objective: Objective, report: Report) -> Level:
    observed = _observed(objective.metric, report)
    # The value that is shown is the one that is judged: a missed "<=250ms" beside 250.0 ms makes no sense.
    return Level(objective, None if observed is None else round(observed, 3))


def _observed(metric: str, report: Report) -> float | None:
    """None if there was nothing to measure."""
    if not report.outcomes:
        return None
    match metric.split("."):
        case ["errors"]:
            return sum(count for outcome, count in report.outcomes.items() if outcome not in _ANSWERS)
        case ["claim_phase"]:
            return report.claim_phase * 1000
        case ["claims_per_s"]:
            return report.claims_per_s
        case ["pool", fact]:
            return None if report.pool is None else float(getattr(report.pool, fact))
        case [outcome, "n"]:
            return report.outcomes.get(Outcome(outcome), 0)
        case [outcome, percentile]:
            latency = report.latency.get(Outcome(outcome))
            return None if latency is None else float(getattr(latency, percentile))
    raise AssertionError(metric)
