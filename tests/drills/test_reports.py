"""JUnit, Markdown and the journal: whole, valid, and unmoved by whatever users call themselves."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.catalog.sale import FLASH_SALE
from couponctl.drills.check import Check, equals
from couponctl.drills.drill import Drill, Parameters, Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.reports.journal_jsonl import journal_lines
from couponctl.drills.reports.junit import CONCLUSION, junit
from couponctl.drills.reports.markdown import markdown
from couponctl.drills.reports.slo import parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.drills.reports.text import report_lines
from couponctl.models import Outcome, Phases
from tests.support.reports import entry, report

if TYPE_CHECKING:
    from couponctl.drills.context import DrillContext
    from couponctl.drills.reports.report import Report
    from couponctl.ledger.claims import Strategy
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

HOSTILE = [
    "a|b",
    "`code` ```",
    "<script>alert(1)</script>",
    "</details></code></td>",
    "[x](javascript:alert(1)) ![x](http://evil)",
    "@everyone #1 :tada: www.evil.com https://evil.com",
    "]]> &amp; &#124; \\| \\",
    "**bold** __x__ ~~x~~ $x$",
    "'; DROP TABLE claims;--",
    "\u202eright to left",
]
"""User ids that the service takes."""

FORBIDDEN = "\0\x01\x0b\x1b[2J\x7f\x9b\ud800\ufffe\uffff\u2028\r\n\t"
"""What no user id may hold, and an error's text might all the same."""

HELD = equals("well", "all is well", 1, 1)
BROKEN = Check("nobody-lost", "nobody is lost", "none", "alice", held=False)
WON = entry("alice", Outcome.CLAIMED)

anything = st.text(st.characters(), max_size=60)


def parsed(*reports: Report) -> ET.Element:
    return ET.fromstring(junit(reports))  # noqa: S314 - we wrote it ourselves


def suites(*reports: Report) -> list[ET.Element]:
    return list(parsed(*reports))


def rows(text: str) -> list[list[str]]:
    """The cells of every line of every table, split as GitHub does: at pipes without a backslash."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def plain(cell: str) -> str:
    """What a reader sees of a cell."""
    return html.unescape(cell.removeprefix("<code>").removesuffix("</code>"))


def test_junit_has_a_case_for_every_check_and_counts_what_failed() -> None:
    (passed, failed) = suites(report(WON, checks=(HELD,)), report(WON, checks=(HELD, BROKEN)))

    assert [case.get("name") for case in passed.iter("testcase")] == ["well: all is well", CONCLUSION]
    assert [passed.get(name) for name in ("tests", "failures", "errors")] == ["2", "0", "0"]
    assert [failed.get(name) for name in ("tests", "failures", "errors")] == ["3", "1", "0"]
    (failure,) = failed.iter("failure")
    assert failure.get("message") == "expected none, observed alice"


def test_junit_sums_up_the_suites() -> None:
    root = parsed(report(WON, checks=(BROKEN,)), report(unfinished="the server went away"))

    assert [root.get(name) for name in ("tests", "failures", "errors", "time")] == ["3", "1", "1", "5.000"]


@pytest.mark.parametrize(
    ("inconclusive", "why"),
    [(report(WON, unfinished="lost the server"), "lost the server"), (report(), "nothing was measured")],
)
def test_what_is_inconclusive_is_an_error_in_junit(inconclusive: Report, why: str) -> None:
    assert inconclusive.verdict is Verdict.INCONCLUSIVE
    (suite,) = suites(inconclusive)

    assert [error.get("message") for error in suite.iter("error")] == [why]


def test_junit_says_how_to_repeat_the_run() -> None:
    (suite,) = suites(report(WON))
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}

    assert (
        properties.items()
        >= {
            "seed": "7",
            "strategy": "statement",
            "server_version": "18.6",
            "run_id": "0badcafe",
            "pool_size": "5",
        }.items()
    )


def test_service_levels_stand_in_every_report() -> None:
    wanted = [parse(each) for each in ("errors=0", "claimed.p99<0.5ms", "unknown.max<1s")]
    held = held_to(report(WON, checks=(HELD,)), wanted)
    (suite,) = suites(held)

    assert [case.get("name") for case in suite.iter("testcase")][1:4] == [
        "service level errors=0",
        "service level claimed.p99<0.5ms",
        "service level unknown.max<1s",
    ]
    assert [each.get("message") for each in suite.iter("failure")] == ["observed 1.0 ms"]
    assert [each.get("message") for each in suite.iter("error")] == ["observed nothing to measure"]
    cells = [[plain(cell) for cell in row] for row in rows(markdown([held]))]
    assert ["!", "claimed.p99<0.5ms", "1.0 ms"] in cells
    assert ["?", "unknown.max<1s", "nothing to measure"] in cells
    assert "! PASS, SLO missed, SLO not measured" in markdown([held])
    assert "  !  claimed.p99<0.5ms  1.0 ms" in list(report_lines(held))


@pytest.mark.parametrize("text", [*HOSTILE, FORBIDDEN])
def test_hostile_text_stays_text_in_junit(text: str) -> None:
    lost = Check("nobody-lost", f"nobody is lost ({text})", "none", text, held=False)
    (suite,) = suites(report(WON, checks=(lost,), unfinished=text, server={"where": text, "version": text}))

    assert [child.tag for child in suite] == ["properties", "testcase", "testcase", "system-out"]
    (failure,) = suite.iter("failure")
    assert failure.get("message", "").startswith("expected none, observed ")
    if text in HOSTILE[:-1]:
        assert failure.get("message") == f"expected none, observed {text}"


@given(anything, anything)
def test_no_text_breaks_the_xml(promise: str, observed: str) -> None:
    (suite,) = suites(report(WON, checks=(Check("any", promise, observed, [observed], held=False),)))

    assert len(list(suite.iter("failure"))) == 1


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_hostile_text_stays_in_its_cell_and_reads_as_it_was(text: str) -> None:
    lost = Check("nobody-lost", f"nobody is lost ({text})", "none", text, held=False)

    row = rows(markdown([report(WON, checks=(HELD, lost))]))[2]

    assert [plain(cell) for cell in row] == ["✘", lost.promise, "none", text]


@given(anything, anything)
def test_no_text_is_structure_in_markdown(promise: str, observed: str) -> None:
    broken = report(WON, checks=(Check("any", promise, 1, observed, held=False),), unfinished=observed)

    text = markdown([broken])

    assert {len(row) for row in rows(text)} <= {2, 3, 4, 7}
    ours = re.sub(r"</?(code|details|summary)>|`couponctl drill clean`|&#[0-9]+;", "", text)
    assert not re.search(r"[<>`\[\]*_\\@&]", ours.replace("flash_sale", ""))
    assert text.count("<details>") == text.count("</details>") == 1


def test_markdown_puts_what_broke_first_and_the_latencies_below() -> None:
    text = markdown([report(WON, checks=(HELD, BROKEN))])

    assert text.startswith("## ✘ FAIL: couponctl drill flash-sale\n")
    assert [row[0] for row in rows(text)[2:4]] == ["✘", "✔"]
    assert ["claimed", "1", "1.0 ms", "1.0 ms", "1.0 ms", "1.0 ms", "1.0 ms"] in rows(text)


def test_markdown_of_many_drills_sums_up_and_unfolds_what_broke() -> None:
    text = markdown([report(WON, checks=(HELD,)), report(WON, checks=(BROKEN,), drill="scale")])

    assert text.startswith("## ✘ FAIL: 2 drills by couponctl\n")
    assert ["✘ FAIL", "scale", "0 of 1", "2,500 ms", "<code>nobody is lost</code>"] in rows(text)
    assert "<details><summary>✔ PASS: flash-sale</summary>" in text
    assert "<details open><summary>✘ FAIL: scale</summary>" in text


def test_markdown_bounds_each_value() -> None:
    endless = Check("nobody-lost", "nobody is lost", "none", "x" * 100_000, held=False)

    assert len(markdown([report(WON, checks=(endless,))])) < 3000


def test_the_journal_is_lossless_and_counts_from_the_beginning_of_the_drill() -> None:
    phases = Phases(pool_wait=0.001, execute=0.0025)
    refused = entry("al|ice\ud800\n", Outcome.SOLD_OUT, 3.0, phases, "It is sold out.")

    (line,) = journal_lines([report(refused)])

    assert line.isascii()
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "drill": "flash-sale",
        "run_id": "0badcafe",
        "coupon": "X",
        "user_id": "al|ice\ud800\n",
        "intended": 1.0,
        "start": 1.0,
        "end": 1.003,
        "outcome": "sold_out",
        "status": 400,
        "sentence": "It is sold out.",
        "phases_ms": {"pool_wait": 1.0, "lock_wait": None, "execute": 2.5, "commit": None},
        "resolved": False,
        "unexpected": False,
    }


def test_phases_are_split_by_outcome_and_leave_out_what_nobody_could_tell() -> None:
    quick, slow = Phases(pool_wait=0.001, execute=0.002), Phases(pool_wait=0.003, execute=0.004)
    made = report(
        entry("a", Outcome.CLAIMED, phases=quick),
        entry("b", Outcome.CLAIMED, phases=slow),
        entry("c", Outcome.CLAIMED),
        entry("d", Outcome.TIMED_OUT),
    )

    assert made.as_json()["phases_ms"] == {
        "claimed": {
            "pool_wait": {"n": 2, "mean": 2.0, "p50": 1.0, "p99": 3.0},
            "execute": {"n": 2, "mean": 3.0, "p50": 2.0, "p99": 4.0},
        }
    }
    lines = list(report_lines(made))
    assert "  mean of  pool wait  execute" in lines
    assert "  claimed     2.0 ms   3.0 ms" in lines


async def test_hostile_users_of_a_real_drill_come_through(server: Server, limits: Limits) -> None:
    async def sell(context: DrillContext, _parameters: Parameters) -> list[Check]:
        await context.create("a|b`<c>", 3)
        await context.storm("a|b`<c>", HOSTILE)
        return [
            Check(
                "nobody-claims", "nobody claims", [], [e.user_id for e in context.journal.entries], held=False
            )
        ]

    drill = Drill("hostile", "hostile users", "nothing", "nothing", Parameters, sell)
    ran = await run_drill(drill.spec(limits), Target(server, limits))

    assert ran.verdict is Verdict.FAIL
    journal = [json.loads(line) for line in journal_lines([ran])]
    assert sorted(each["user_id"] for each in journal) == sorted(HOSTILE)
    (suite,) = suites(ran)
    assert [case.get("name") for case in suite.iter("testcase") if len(case)] == [
        "nobody-claims: nobody claims"
    ]
    assert [row[1] for row in rows(markdown([ran])) if row[0] == "✘"] == ["nobody claims"]


async def test_the_journal_of_a_real_drill_agrees_with_its_report(
    server: Server, limits: Limits, strategy: Strategy
) -> None:
    spec = FLASH_SALE.spec(limits, {"n": 20, "stock": 5}, strategy=strategy)
    ran = await run_drill(spec, Target(server, limits))

    journal = [json.loads(line) for line in journal_lines([ran])]
    assert [each["outcome"] for each in journal].count("claimed") == 5
    assert len({each["user_id"] for each in journal}) == len(journal) == 20
    ends = [each["end"] for each in journal]
    assert ends == sorted(ends)
    assert all(0 < each["intended"] <= each["start"] <= each["end"] <= ran.elapsed for each in journal)
    for each in journal:
        spent = sum(time or 0.0 for time in each["phases_ms"].values())
        assert 0 < spent <= (each["end"] - each["start"]) * 1000 + 0.01
    told = set(ran.phases[Outcome.CLAIMED])
    split = {"pool_wait", "lock_wait", "execute", "commit"}
    assert told == (split if strategy.name == "transaction" else {"pool_wait", "execute"})
