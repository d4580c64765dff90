"""How drills ended: one word and one glyph, the same wherever it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.drills.drill import Verdict
from couponctl.drills.reports.report import worst
from couponctl.present.glyph import Glyph

if TYPE_CHECKING:
    from couponctl.drills.progress import View
    from couponctl.drills.reports.report import Report

_GLYPHS = {Verdict.PASS: Glyph.PASSED, Verdict.FAIL: Glyph.FAILED, Verdict.INCONCLUSIVE: Glyph.UNDECIDED}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A glyph for good, bad or in between; the word says it too."""

    glyph: Glyph
    word: str

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


def conclusion(*reports: Report) -> Conclusion:
    """Return the verdict over the reports, and whether service levels were missed or not measured."""
    verdict = worst(reports)
    met = [level.met for report in reports for level in report.slos]
    unmet = [_levels(met.count(False), "missed"), _levels(met.count(None), "not measured")]
    short = verdict is Verdict.PASS and any(unmet)
    glyph = Glyph.WARNING if short else _GLYPHS[verdict]
    return Conclusion(glyph, ", ".join(filter(None, [verdict, *unmet])))


def _levels(count: int, what: str) -> str:
    if not count:
        return ""
    return f"SLO {what}" if count == 1 else f"{count} SLOs {what}"


def aborted_words(view: View) -> str:
    """Describe a drill that was aborted."""
    return (
        f"aborted, {view.answered:,} of {view.total:,} answered" if view.total else "aborted before any claim"
    )
