"""The journal of drills as JSON lines: one for every attempt, in the order of the answers, lossless."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.drills.journal import Entry
    from couponctl.drills.reports.report import Report


def journal_lines(reports: Sequence[Report]) -> Iterator[str]:
    """Each ends in a line break; nothing in them is outside ASCII."""
    for report in reports:
        for entry in report.attempts:
            yield json.dumps(_document(report, entry), ensure_ascii=True) + "\n"


def _document(report: Report, entry: Entry) -> dict[str, Any]:
    phases = entry.phases._asdict().items()
    return {
        "drill": report.drill,
        "run_id": report.run_id,
        "coupon": entry.coupon,
        "user_id": entry.user_id,
        "intended": _since(report, entry.intended),
        "start": _since(report, entry.start),
        "end": _since(report, entry.end),
        "outcome": entry.outcome.value,
        "status": entry.outcome.status,
        "sentence": entry.sentence,
        "phases_ms": {name: None if time is None else round(time * 1000, 3) for name, time in phases},
        "resolved": entry.resolved,
        "unexpected": entry.unexpected,
    }


def _since(report: Report, moment: float) -> float:
    """Seconds since the drill began, to the microsecond."""
    return round(moment - report.began, 6)
