"""Checks: ids that stay whatever sentences become, and counts that read straight."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from couponctl.drills.check import all_of, equals, merged, no_other, none_of
from couponctl.drills.reports.check_ids import check_of
from couponctl.drills.reports.report import Report
from couponctl.errors import Invalid
from couponctl.models import Outcome
from tests.support.reports import entry, report


@pytest.mark.parametrize(
    ("check", "expected", "observed", "held"),
    [
        (none_of("lost", "claims lost", []), 0, 0, True),
        (none_of("lost", "claims lost", ["bob", "alice"]), 0, "2: alice, bob", False),
        (all_of("refused", "refused", 3, []), "3 of 3", "3 of 3", True),
        (all_of("refused", "refused", 3, ["NUL"]), "3 of 3", "2 of 3, not NUL", False),
        (no_other({}), 0, 0, True),
        (no_other({Outcome.TIMED_OUT: 2}), 0, "2: 2 timed_out", False),
    ],
    ids=str,
)
def test_what_is_counted_is_a_number(check: object, expected: object, observed: object, held: bool) -> None:
    assert (check.expected, check.observed, check.held) == (expected, observed, held)  # type: ignore[attr-defined]


def test_of_several_coupons_each_that_breaks_a_check_is_named() -> None:
    well, broken = equals("sum", "the sum", 1, 1), equals("sum", "the sum", 1, 2)

    assert merged({"A": [well], "B": [well]}) == [well]
    assert merged({"A": [well], "B": [broken]}) == [replace(broken, promise="the sum (B)")]


@pytest.mark.parametrize(
    ("promise", "check_id"),
    [
        ("no acknowledged claim is lost", "acknowledged-claims-lost"),
        ("no acknowledged claim is lost (BASE-1)", "acknowledged-claims-lost"),
        ("the attack ends within 0.3 s", "attack-in-time"),
        ("what nobody knows any more", "what nobody knows any more"),
    ],
)
def test_checks_of_before_are_told_apart_by_their_sentences(promise: str, check_id: str) -> None:
    of_before = {"promise": promise, "expected": "none", "observed": "bob", "held": False}

    assert asdict(check_of(of_before)) == {"id": check_id, **of_before}


def test_a_report_of_before_can_still_be_read() -> None:
    document = report(entry("a", Outcome.CLAIMED), checks=(equals("oversold", "x", 0, 0),)).as_json()
    (check,) = document["checks"]
    check.update(promise="no claim beyond the units")
    del check["id"]

    assert [each.id for each in Report.from_json(document).checks] == ["oversold"]


@pytest.mark.parametrize("document", [{}, {"promise": None}, [], {"id": 1, "promise": "p"}], ids=str)
def test_what_is_no_check_is_refused(document: object) -> None:
    with pytest.raises(Invalid):
        check_of(document)
