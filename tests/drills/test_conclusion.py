"""How a run ended, said the same everywhere: on the command line, in files, in a comparison."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.check import Check
from couponctl.drills.progress import Progress
from couponctl.drills.reports.comparison import compare, comparison_lines
from couponctl.drills.reports.conclusion import aborted_words, conclusion
from couponctl.drills.reports.junit import junit
from couponctl.drills.reports.markdown import markdown
from couponctl.drills.reports.slo import parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.drills.reports.store import SavedRun, run_table
from couponctl.drills.reports.text import progress_words, report_lines, scorecard_lines
from couponctl.models import Outcome
from tests.support.reports import entry, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from couponctl.drills.reports.report import Report

WON = entry("alice", Outcome.CLAIMED)
LOST = Check("nobody-lost", "nobody is lost", "none", "bob", held=False)

MET, MISSED, MISSED_TOO, UNMEASURED = "errors=0", "claimed.p99<0.5ms", "claimed.n>9", "unknown.max<1s"


def ended(*levels: str, **facts: Any) -> Report:
    return held_to(report(WON, **facts), [parse(level) for level in levels])


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (ended(), "✔ PASS"),
        (ended(MET), "✔ PASS"),
        (ended(MISSED), "! PASS, SLO missed"),
        (ended(MET, MISSED, MISSED_TOO), "! PASS, 2 SLOs missed"),
        (ended(UNMEASURED), "! PASS, SLO not measured"),
        (ended(MISSED, UNMEASURED), "! PASS, SLO missed, SLO not measured"),
        (ended(MISSED, checks=(LOST,)), "✘ FAIL, SLO missed"),
        (ended(MISSED, unfinished="gone"), "? INCONCLUSIVE, SLO missed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_level_that_was_not_met_is_never_a_plain_pass(run: Report, words: str) -> None:
    assert str(conclusion(run)) == words


def test_over_several_the_worst_counts_and_the_levels_of_all() -> None:
    assert str(conclusion(ended(MISSED), ended(MET), ended(MISSED))) == "! PASS, 2 SLOs missed"
    assert str(conclusion(ended(MISSED), ended(checks=(LOST,)))) == "✘ FAIL, SLO missed"


def kept(run: Report) -> SavedRun:
    return SavedRun(datetime(2026, 11, 20, tzinfo=UTC), "cli", "3.13.1", "0.1.0", run)


PLACES: dict[str, Callable[[Report], str]] = {
    "drill NAME, runs show": lambda run: "\n".join(report_lines(run)),
    "drill all": lambda run: "\n".join(scorecard_lines([run])),
    "runs list": lambda run: "\n".join(run_table([kept(run)]).lines()),
    "runs diff": lambda run: "\n".join(comparison_lines(compare(run, run))),
    "Markdown": lambda run: markdown([run]),
    "Markdown of several": lambda run: markdown([run, run]),
    "JUnit": lambda run: junit([run]).partition("<system-out>")[2],
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_says_the_same(place: str) -> None:
    text = PLACES[place](ended(MISSED))

    several = place == "Markdown of several"
    assert re.search(r"! PASS, 2 SLOs missed" if several else r"! PASS, SLO missed", text)
    assert not re.search(r"PASS(?!, (2 )?SLOs? missed)", text)
    assert "✔ PASS" not in text


def test_a_comparison_keeps_the_verdict_for_machines() -> None:
    rows = compare(ended(MISSED), ended()).as_json()["rows"]
    (verdict,) = (row for row in rows if row["what"] == "verdict")

    assert (verdict["before"], verdict["after"]) == ("PASS", "PASS")


def test_a_comment_shows_a_missed_level_unfolded() -> None:
    assert "<details open><summary>! PASS, SLO missed" in markdown([ended(MISSED), ended()])
    assert "<details><summary>✔ PASS" in markdown([ended(MISSED), ended()])


def under_way() -> Progress:
    """Three wanted something; one won, one was called back."""
    progress = Progress()
    progress.expect(3)
    progress.answered(Outcome.CLAIMED, 0.004)
    progress.cancelled()
    return progress


def test_who_was_called_back_is_done_but_has_no_answer() -> None:
    view = under_way().view()

    assert (view.done, view.answered, view.total) == (2, 1, 3)
    assert view.outcomes == {"claimed": 1}
    assert list(view.histogram) == ["claimed"]
    assert progress_words(view) == "1 claimed, 1 cancelled"


def test_a_broken_off_drill_says_how_many_were_answered() -> None:
    view = under_way().view()

    assert aborted_words(view) == "aborted, 1 of 3 answered"
    assert aborted_words(replace(view, done=30_000, cancelled=17_600, total=30_000)) == (
        "aborted, 12,400 of 30,000 answered"
    )
    assert aborted_words(Progress().view()) == "aborted before any claim"
