"""Service levels: a grammar that takes what it documents and nothing else, and honest answers to it."""

from __future__ import annotations

import operator
from string import printable
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.reports.slo import COUNTS, OPERATORS, TIMES, parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.errors import Invalid
from couponctl.models import Outcome
from tests.support.reports import entry, report

if TYPE_CHECKING:
    from couponctl.drills.reports.report import Report

CLAIMED, SOLD_OUT, TIMED_OUT = Outcome.CLAIMED, Outcome.SOLD_OUT, Outcome.TIMED_OUT

SALE = report(
    *(entry(f"winner {number}", CLAIMED, float(number)) for number in range(1, 101)),
    entry("late", SOLD_OUT, 5.0),
    entry("slow", TIMED_OUT, 900.0),
)

MEANT = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}

metrics = st.sampled_from(TIMES + COUNTS)
blanks = st.sampled_from(["", " ", "\t"])
values = st.decimals(min_value=0, max_value=10**9, places=3, allow_nan=False).map(str)


def level(expression: str, of: Report = SALE) -> tuple[float | None, bool | None]:
    (held,) = held_to(of, [parse(expression)]).slos
    return held.observed, held.met


@given(metrics, st.sampled_from(list(MEANT)), values, blanks, blanks)
def test_blanks_mean_nothing_and_every_part_is_read(
    metric: str, sign: str, value: str, left: str, right: str
) -> None:
    unit, scale = ("s", 1000.0) if metric in TIMES else ("", 1.0)

    objective = parse(f"{left}{metric}{left}{sign}{right}{value}{unit}{right}")

    assert (objective.metric, objective.operator) == (metric, sign)
    assert objective.limit == float(value) * scale
    assert parse(objective.expression) == objective


@given(st.sampled_from(list(MEANT)), st.floats(0, 1e6), st.integers(0, 10**6))
def test_a_level_is_met_as_its_operator_says(sign: str, observed: float, limit: int) -> None:
    assert parse(f"errors{sign}{limit}").met_by(observed) is MEANT[sign](observed, limit)
    assert set(OPERATORS) == set(MEANT)


@given(st.text(alphabet=printable) | st.text())
def test_nonsense_is_refused_and_nothing_else_happens(expression: str) -> None:
    try:
        objective = parse(expression)
    except Invalid:
        return
    assert objective.metric in TIMES + COUNTS


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("claimed.p98<1ms", "the closest is claimed.p9"),
        ("claimd.p99<1ms", "the closest is claimed.p99"),
        ("eror=0", "the closest is errors"),
        ("pool.waiting<3", "the closest is pool.peak_waiting"),
        ("zzz=0", "the closest is "),
        ("claimed.p99<250", "is a time: give it ms or s"),
        ("claimed.p99<250us", "is a time: give it ms or s"),
        ("errors=0ms", "is not a time and has no unit"),
        ("errors", "write METRIC OP VALUE"),
        ("errors=-1", "write METRIC OP VALUE"),
        ("errors==0", "write METRIC OP VALUE"),
        ("errors!=0", "write METRIC OP VALUE"),
        ("errors=1e3", "write METRIC OP VALUE"),
        ("errors=nan", "write METRIC OP VALUE"),
        ("errors=٣", "write METRIC OP VALUE"),
        ("", "write METRIC OP VALUE"),
    ],
)
def test_a_bad_expression_is_refused_with_the_way_out(expression: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(expression)

    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("expression", "observed", "met"),
    [
        ("claimed.n=100", 100, True),
        ("claimed.p50<=50.5ms", 50.0, True),
        ("claimed.p50<49.5ms", 50.0, False),
        ("claimed.p90<0.0901s", 90.0, True),
        ("claimed.p95>95.5ms", 95.0, False),
        ("claimed.p99>=98.5ms", 99.0, True),
        ("claimed.max<1s", 100.0, True),
        ("errors=0", 1, False),
        ("claims_per_s>=50", 50.0, True),
        ("claims_per_s>50", 50.0, False),
        ("claim_phase<=2s", 2000.0, True),
        ("pool.peak_waiting<3", 3.0, False),
        ("pool.acquire_failures=0", 0.0, True),
        ("unknown.n=0", 0, True),
        ("not_found.p99<1s", None, None),
    ],
)
def test_every_metric_is_what_it_says(expression: str, observed: float | None, met: bool | None) -> None:
    measured, held = level(expression)

    assert measured == (observed if observed is None else pytest.approx(observed))
    assert held is met


@pytest.mark.parametrize("expression", ["errors=0", "claimed.n=0", "claims_per_s>0", "pool.peak_waiting=0"])
def test_where_nobody_claimed_nothing_is_met(expression: str) -> None:
    assert level(expression, report()) == (None, None)


def test_without_a_pool_its_levels_are_not_measured() -> None:
    assert level("pool.peak_waiting<9", report(entry("a", CLAIMED), pool=None)) == (None, None)


@pytest.mark.parametrize("outcome", Outcome)
def test_an_error_is_whatever_a_sale_may_not_say(outcome: Outcome) -> None:
    fine = outcome in {CLAIMED, SOLD_OUT, Outcome.ALREADY_CLAIMED, Outcome.NOT_FOUND}

    assert level("errors=0", report(entry("a", outcome))) == (0 if fine else 1, fine)


def test_levels_go_into_the_report_as_they_were_written() -> None:
    held = held_to(SALE, [parse(" claimed.p99 < 0.25s "), parse("not_found.max<1ms")])

    assert held.as_json()["slos"] == [
        {"expression": "claimed.p99<0.25s", "observed": 99.0, "met": True},
        {"expression": "not_found.max<1ms", "observed": None, "met": None},
    ]
    assert held.verdict is SALE.verdict
