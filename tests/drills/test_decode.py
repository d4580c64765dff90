"""Reports read back from JSON: what was written comes back, what nobody wrote is refused or harmless."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.catalog.breakage import CONNECTION_DROP
from couponctl.drills.check import Check
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.faults.database import Fault
from couponctl.drills.histogram import BUCKETS
from couponctl.drills.reports.comparison import compare, comparison_lines
from couponctl.drills.reports.phases import Spread
from couponctl.drills.reports.report import Latency, Report, ReportedServer
from couponctl.drills.reports.slo import COUNTS, TIMES, parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.drills.reports.text import report_lines
from couponctl.errors import Invalid
from couponctl.models import Outcome, Phases, PoolStats
from tests.support.reports import POOL, entry, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hypothesis.strategies import SearchStrategy

    from couponctl.ledger.claims import Strategy
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

texts = st.text(st.characters(), max_size=20)
counts = st.integers(0, 10**9)
times = st.floats(0, 1e9)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=3,
)
latencies = st.builds(Latency, counts, times, times, times, times, times)
spreads = st.builds(Spread, counts, times, times, times)
pools = st.builds(
    PoolStats,
    **{each.name: counts if each.type == "int" else st.none() | times for each in fields(PoolStats)},
)
objectives = st.builds(
    lambda metric, limit: parse(f"{metric}<={limit}{'ms' if metric in TIMES else ''}"),
    st.sampled_from(TIMES + COUNTS),
    counts,
)


def by_outcome(each: SearchStrategy) -> SearchStrategy:
    return st.dictionaries(st.sampled_from(Outcome), each)


reports = st.builds(
    Report,
    drill=texts,
    run_id=texts,
    parameters=st.dictionaries(texts, counts | times, max_size=3),
    seed=st.integers(0),
    strategy=texts,
    server=st.builds(ReportedServer, st.dictionaries(texts, values, max_size=3)),
    checks=st.lists(st.builds(Check, texts, texts, values, values, st.booleans()), max_size=3).map(tuple),
    outcomes=by_outcome(counts),
    latency=by_outcome(latencies),
    histogram=by_outcome(st.lists(counts, min_size=BUCKETS, max_size=BUCKETS).map(tuple)),
    phases=by_outcome(st.dictionaries(texts, spreads, max_size=2)),
    recovered=counts,
    faults=st.lists(st.builds(Fault, texts, counts), max_size=2).map(tuple),
    pool=st.none() | pools,
    claim_phase=times,
    elapsed=times,
    unfinished=texts,
    left_behind=st.none() | texts,
)

WHOLE = held_to(
    report(
        entry("alice", Outcome.CLAIMED, 1.5, Phases(pool_wait=0.001, execute=0.0005)),
        entry("bob", Outcome.SOLD_OUT, 250.0),
        checks=(Check("nobody-lost", "nobody is lost", {"claimed": 1}, ["a", "b"], held=False),),
        faults=(Fault("held row lock", 1),),
        unfinished="lost the server",
        left_behind="couponctl_drill_x",
    ),
    [parse("claimed.p99<1ms"), parse("unknown.p50<1s")],
)
"""A report with something in every field."""

STRANGE: list[Any] = [
    None,
    True,
    -1,
    0.5,
    "\x1b[2J\u202e",
    [],
    {},
    [[]],
    float("nan"),
    float("inf"),
    10**400,
    {"a": {}},
]


def stored(document: Any) -> Any:
    return json.loads(json.dumps(document))


def paths(document: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    inner = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in inner:
        yield (*above, key)
        if isinstance(value, dict | list):
            yield from paths(value, *above, key)


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


@given(reports, st.lists(objectives, max_size=3))
def test_every_report_survives_a_file(original: Report, wanted: list[Any]) -> None:
    held = held_to(original, wanted)

    read = Report.from_json(stored(held.as_json()))

    assert read.as_json() == stored(held.as_json())
    assert read.verdict is held.verdict
    assert [level.met for level in read.slos] == [level.met for level in held.slos]


def test_a_report_from_a_file_is_told_in_the_same_words() -> None:
    read = Report.from_json(stored(WHOLE.as_json()))

    assert list(report_lines(read)) == list(report_lines(WHOLE))
    assert (read.pool, read.faults, read.checks) == (POOL, WHOLE.faults, WHOLE.checks)
    assert (read.claim_phase, read.elapsed) == (2.0, 2.5)


async def test_a_real_report_survives_a_file(server: Server, limits: Limits, strategy: Strategy) -> None:
    ran = await run_drill(CONNECTION_DROP.spec(limits, strategy=strategy), Target(server, limits))

    read = Report.from_json(stored(ran.as_json()))

    assert read.as_json() == ran.as_json()
    assert read.phases == ran.phases
    assert (read.claim_phase, read.elapsed) == pytest.approx((ran.claim_phase, ran.elapsed), rel=1e-12)
    assert read.faults


def test_the_verdict_is_not_taken_from_the_file() -> None:
    document = WHOLE.as_json() | {"verdict": "PASS"}

    assert Report.from_json(document).verdict is Verdict.FAIL


def test_a_level_is_judged_by_what_is_shown() -> None:
    narrowly = report(entry("alice", Outcome.CLAIMED, 250.0001))

    (level,) = held_to(narrowly, [parse("claimed.p99<=250ms")]).slos

    assert (level.words, level.met) == ("250.0 ms", True)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({}, ("unknown", "unknown", "an unknown server")),
        ({"version": "15.9"}, ("15.9", "unknown", "an unknown server")),
        ({"where": "sales@db"}, ("unknown", "sales@db", "sales@db")),
        ({"version": "18", "where": "x", "later": [1]}, ("18", "x", "x")),
    ],
    ids=str,
)
def test_a_server_is_told_as_far_as_the_report_knows_it(
    server: dict[str, Any], told: tuple[str, str, str]
) -> None:
    read = Report.from_json(stored(WHOLE.as_json()) | {"server": server})

    assert (read.server.version, read.server.where, read.server.place) == told
    assert read.as_json()["server"] == server


def test_fields_that_a_later_version_adds_are_left_alone() -> None:
    document = stored(WHOLE.as_json())
    for path in [(), ("pool",), ("checks", 0), ("latency_ms", "claimed"), ("slos", 0), ("faults", 0)]:
        at(document, path)["later"] = {"anything": 1}

    assert Report.from_json(document).as_json() == WHOLE.as_json()


@pytest.mark.parametrize("path", sorted(paths(stored(WHOLE.as_json())), key=str), ids=str)
def test_a_field_of_another_shape_is_refused_or_can_be_shown(path: tuple[Any, ...]) -> None:
    for strange in STRANGE:
        document = stored(WHOLE.as_json())
        at(document, path[:-1])[path[-1]] = strange
        try:
            read = Report.from_json(document)
        except Invalid:
            continue
        shown = [
            *report_lines(read),
            *comparison_lines(compare(read, WHOLE)),
            read.claims_per_s,
            read.answers,
        ]
        assert "\x1b" not in str(shown)
        assert "\u202e" not in "".join(map(str, shown))


TIMES_AND_COUNTS = [
    ("params", "timeout"),
    ("outcomes", "claimed"),
    ("latency_ms", "claimed", "p99"),
    ("latency_ms", "claimed", "n"),
    ("histogram", "counts", "claimed", 0),
    ("phases_ms", "claimed", "execute", "mean"),
    ("faults", 0, "happened"),
    ("slos", 0, "observed"),
    ("pool", "size"),
    ("pool", "acquire_p50_ms"),
    ("claim_phase_ms",),
    ("elapsed_ms",),
]


@pytest.mark.parametrize("path", TIMES_AND_COUNTS, ids=str)
@pytest.mark.parametrize(
    "strange", ["1", True, [1], float("nan"), float("inf"), -float("inf"), 10**16], ids=str
)
def test_a_number_is_a_number(path: tuple[Any, ...], strange: Any) -> None:
    document = stored(WHOLE.as_json())
    at(document, path[:-1])[path[-1]] = strange

    with pytest.raises(Invalid):
        Report.from_json(document)


@pytest.mark.parametrize("field", sorted(WHOLE.as_json().keys() - {"verdict", "unlogged"}))
def test_a_field_that_is_missing_is_refused(field: str) -> None:
    document = stored(WHOLE.as_json())
    del document[field]

    with pytest.raises(Invalid):
        Report.from_json(document)


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else "deep"


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"outcomes": {"dreamt": 1}},
        {"checks": [{"promise": "p", "expected": 1, "observed": nested(50), "held": True}]},
        {"histogram": {"bounds_ms": [1, 2], "counts": {}}},
        {"histogram": {**WHOLE.as_json()["histogram"], "counts": {"claimed": [1, 2]}}},
        {"slos": [{"expression": "claimed.p98<1ms", "observed": 1.0, "met": True}]},
    ],
    ids=lambda change: str(change)[:40],
)
def test_what_another_version_may_have_meant_is_not_guessed(change: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Report.from_json(deepcopy(WHOLE.as_json()) | change)


@pytest.mark.parametrize("document", [None, [], "report", 1, {}])
def test_what_is_no_object_is_no_report(document: Any) -> None:
    with pytest.raises(Invalid):
        Report.from_json(document)


def test_the_winners_speak_for_a_run_and_else_the_most() -> None:
    won = report(entry("a", Outcome.CLAIMED), *(entry(f"u{n}", Outcome.SOLD_OUT) for n in range(3)))
    lost = report(entry("a", Outcome.TIMED_OUT), *(entry(f"u{n}", Outcome.SOLD_OUT) for n in range(3)))

    assert (won.leading, lost.leading, report().leading) == (Outcome.CLAIMED, Outcome.SOLD_OUT, None)
    assert (won.answers, won.claims_per_s, report(claim_phase=0.0).claims_per_s) == (4, 0.5, None)
