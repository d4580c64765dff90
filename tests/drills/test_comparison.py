"""Two runs side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.check import Check
from couponctl.drills.reports.comparison import Row, compare, comparison_lines
from couponctl.models import Outcome
from tests.support.reports import POOL, entry, report

if TYPE_CHECKING:
    from couponctl.drills.reports.report import Report


def check(promise: str, held: bool = True) -> Check:
    return Check(promise.replace(" ", "-"), promise, 1, 1 if held else 2, held)


BEFORE = report(
    entry("a", Outcome.CLAIMED, 20.0),
    entry("b", Outcome.CLAIMED, 40.0),
    entry("c", Outcome.SOLD_OUT, 10.0),
    checks=(check("always"), check("no longer"), check("again", held=False), check("never", held=False)),
)
AFTER = report(
    entry("a", Outcome.CLAIMED, 25.0),
    entry("b", Outcome.TIMED_OUT, 90.0),
    checks=(
        check("always"),
        check("no longer", held=False),
        check("again"),
        check("never", held=False),
        check("new"),
    ),
    run_id="1badcafe",
    strategy="transaction",
    seed=8,
    server={"where": "sales@db:5432/shop", "version": "15.9"},
    parameters={"pool_size": 10, "timeout": 30.0, "n": 2},
    pool=replace(POOL, peak_waiting=0),
    claim_phase=1.0,
)


def told(before: Report, after: Report, section: str) -> dict[str, tuple[Any, Any]]:
    return {
        row.what: (row.before, row.after) for row in compare(before, after).rows if row.section == section
    }


def words(before: Report, after: Report) -> list[str]:
    """Without the blanks between the columns."""
    return [" ".join(line.split()) for line in comparison_lines(compare(before, after))]


def test_of_what_the_runs_were_given_only_the_difference_is_told() -> None:
    assert told(BEFORE, AFTER, "run") == {
        "strategy": ("statement", "transaction"),
        "version": ("18.6", "15.9"),
        "pool_size": (5, 10),
        "n": (None, 2),
        "verdict": ("FAIL", "FAIL"),
    }
    assert told(BEFORE, BEFORE, "run") == {"verdict": ("FAIL", "FAIL")}


def test_every_check_of_either_run_is_told() -> None:
    assert told(BEFORE, AFTER, "checks") == {
        "always": ("held", "held"),
        "no longer": ("held", "broken"),
        "again": ("broken", "held"),
        "never": ("broken", "broken"),
        "new": (None, "held"),
    }


def test_a_check_is_the_same_whatever_its_promise_is_worded_like() -> None:
    reworded = replace(check("always"), promise="at all times")
    after = report(entry("a", Outcome.CLAIMED), checks=(reworded,))

    assert told(BEFORE, after, "checks")["at all times"] == ("held", "held")
    assert {"always", "at all times"} & {
        row["check"] for row in compare(BEFORE, after).as_json()["rows"]
    } == {"always"}


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_a_promise_that_stands_there_twice_must_have_held_twice(order: tuple[bool, bool]) -> None:
    twice = report(entry("a", Outcome.CLAIMED), checks=tuple(check("twice", held=held) for held in order))

    assert told(twice, BEFORE, "checks")["twice"] == ("broken", None)


def test_numbers_of_both_runs_stand_side_by_side() -> None:
    assert told(BEFORE, AFTER, "outcomes") == {"claimed": (2, 1), "sold_out": (1, 0), "timed_out": (0, 1)}
    assert told(BEFORE, AFTER, "latency") == {
        "claimed.p50": (20.0, 25.0),
        "claimed.p99": (40.0, 25.0),
        "sold_out.p50": (10.0, None),
        "sold_out.p99": (10.0, None),
        "timed_out.p50": (None, 90.0),
        "timed_out.p99": (None, 90.0),
    }
    assert told(BEFORE, AFTER, "speed") == {"claims_per_s": (1.0, 1.0), "claim_phase": (2000.0, 1000.0)}
    assert told(BEFORE, AFTER, "pool") == {
        "peak_in_use": (5, 5),
        "peak_waiting": (3, 0),
        "acquire_failures": (0, 0),
    }


def test_a_run_without_a_pool_has_no_peaks() -> None:
    poolless = report(entry("a", Outcome.CLAIMED), pool=None)

    assert told(poolless, BEFORE, "pool")["peak_waiting"] == (None, 3)
    assert told(poolless, poolless, "pool") == {}


@pytest.mark.parametrize(
    ("before", "after", "percent", "change"),
    [
        (20, 25, 25.0, "+25.0 %"),
        (40.0, 25.0, -37.5, "-37.5 %"),
        (3, 0, -100.0, "-100.0 %"),
        (0, 3, None, ""),
        (5, 5, 0.0, ""),
        (-2, 2, 200.0, "+200.0 %"),
        (1, 100_000, 9_999_900.0, "+9,999,900.0 %"),
        (None, 3, None, ""),
        (3, None, None, ""),
        ("a", "b", None, ""),
    ],
)
def test_a_change_is_in_percent_of_what_was(
    before: Any, after: Any, percent: float | None, change: str
) -> None:
    row = Row("outcomes", "claimed", before, after)

    assert (row.percent, row.cells[3]) == (percent, change)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (Row("latency", "sold_out.p99", 40.0, None, "ms"), ("sold out p99", "40.0 ms", "-", "")),
        (Row("run", "timeout", 30.0, 0.25), ("timeout", "30", "0.25", "-99.2 %")),
        (Row("outcomes", "sold_out", 450_000, 450_000), ("sold out", "450,000", "450,000", "")),
        (Row("checks", "v1.2 a_b", "held", "broken"), ("v1.2 a_b", "passed", "failed", "✘ failed")),
        (Row("checks", "x", "broken", "held"), ("x", "failed", "passed", "✔ fixed")),
        (Row("checks", "x", None, "broken"), ("x", "-", "failed", "")),
        (Row("run", "\x1b[2J", "\u202e", "b"), (r"\u{1b}[2J", r"\u{202e}", "b", "")),
    ],
)
def test_a_row_is_four_cells_for_people(row: Row, cells: tuple[str, ...]) -> None:
    assert row.cells == cells


def test_in_words_the_checks_that_held_in_both_runs_are_only_counted() -> None:
    lines = words(BEFORE, AFTER)

    assert lines[:2] == ["before 0badcafe flash-sale ✘ FAIL", "after 1badcafe flash-sale ✘ FAIL"]
    assert "before after change" in lines
    assert "no longer passed failed ✘ failed" in lines
    assert "again failed passed ✔ fixed" in lines
    assert "never failed failed" in lines
    assert "new - passed" in lines
    assert lines[-1] == "1 check passed in both runs"
    assert not [line for line in lines if line.startswith("always")]
    assert "claimed p50 20.0 ms 25.0 ms +25.0 %" in lines


def test_sections_are_a_blank_line_apart() -> None:
    lines = words(BEFORE, AFTER)
    first_of_each = ["no longer passed failed", "claimed 2 1", "claimed p50", "claims per s", "peak in use"]

    for first in first_of_each:
        (index,) = [index for index, line in enumerate(lines) if line.startswith(first)]
        assert lines[index - 1] == ""
    assert lines.count("") == len(first_of_each) + 2


def test_different_drills_are_compared_with_a_word_of_warning() -> None:
    other = report(entry("a", Outcome.CLAIMED), drill="scale")
    warning = "two different drills: their numbers need not mean the same"

    assert told(BEFORE, other, "run")["drill"] == ("flash-sale", "scale")
    assert warning in words(BEFORE, other)
    assert warning not in words(BEFORE, AFTER)


def test_for_programs_there_is_all_of_it() -> None:
    comparison = compare(BEFORE, AFTER)
    document = json.loads(json.dumps(comparison.as_json(), allow_nan=False))

    assert (document["before"], document["after"], document["of_one_drill"]) == ("0badcafe", "1badcafe", True)
    assert len(document["rows"]) == len(comparison.rows)
    assert {
        "section": "latency",
        "what": "claimed.p99",
        "check": None,
        "before": 40.0,
        "after": 25.0,
        "unit": "ms",
        "change_percent": -37.5,
    } in document["rows"]
    assert {row["section"] for row in document["rows"]} == {
        "run",
        "checks",
        "outcomes",
        "latency",
        "speed",
        "pool",
    }
