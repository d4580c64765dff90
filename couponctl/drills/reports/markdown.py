"""Reports as Markdown for a pull request's comment: verdict, what broke, latencies; the rest folded away.

Untrusted values stay text. Each character that Markdown, HTML, mentions or links could make something
of becomes a character reference, which no Markdown reads as structure (CommonMark 0.31, section 2.5).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from couponctl.drills.drill import Verdict
from couponctl.drills.reports.conclusion import conclusion
from couponctl.drills.reports.text import UNLOGGED, latency_table, phase_table, shown
from couponctl.models import label
from couponctl.present import counted, milliseconds, safe
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.drills.check import Check
    from couponctl.drills.reports.report import Report

_MEANINGFUL = re.compile(r"[\\`*_{}\[\]<>|&~#@$:!^\"]|(?<=www)\.", re.IGNORECASE)
_LONGEST = 300
"""Characters of one value."""
LONGEST_COMMENT = 65_536
"""Maximum length of a GitHub comment; `drill all` stays well below it."""


def markdown(reports: Sequence[Report]) -> str:
    """One document for any number of drills, ending in a line break."""
    lines = _one(reports[0]) if len(reports) == 1 else _many(reports)
    return "\n".join(lines) + "\n"


def _one(report: Report) -> Iterator[str]:
    yield f"## {conclusion(report)}: couponctl drill {_text(report.drill)}"
    yield ""
    yield from _body(report, report.checks)


def _many(reports: Sequence[Report]) -> Iterator[str]:
    yield f"## {conclusion(*reports)}: {counted(len(reports), 'drill')} by couponctl"
    yield ""
    columns = texts("", "drill") + numbers("checks passed", "time") + texts("first thing that broke")
    yield from Table(
        columns,
        [
            (
                str(conclusion(report)),
                _text(report.drill),
                f"{sum(check.held for check in report.checks)} of {len(report.checks)}",
                milliseconds(report.elapsed * 1000),
                _code(report.broken[0].promise if report.broken else report.unfinished),
            )
            for report in reports
        ],
    ).markdown()
    for report in reports:
        well = report.verdict is Verdict.PASS and all(level.met for level in report.slos)
        unfold = "" if well else " open"
        title = f"{conclusion(report)}: {_text(report.drill)}"
        yield from ("", f"<details{unfold}><summary>{title}</summary>", "")
        # A table of held checks for every drill would take most of what a comment may hold.
        yield from _body(report, () if report.verdict is Verdict.PASS else report.checks)
        yield from ("", "</details>")


def _body(report: Report, checks: Sequence[Check]) -> Iterator[str]:
    if report.unfinished:
        yield from (f"Inconclusive: {_code(report.unfinished)}", "")
    if report.unlogged:
        yield from (f"{UNLOGGED[0].upper()}{UNLOGGED[1:]}.", "")
    if report.left_behind:
        yield from (f"Schema {_code(report.left_behind)} is left: run `couponctl drill clean`.", "")
    broken_first = sorted(checks, key=lambda check: check.held)
    if broken_first:
        rows = [
            (each.glyph, _text(each.promise), _code(shown(each.expected)), _code(shown(each.observed)))
            for each in broken_first
        ]
        yield from (*Table(texts("", "check", "expected", "observed"), rows).markdown(), "")
    if report.slos:
        levels = [(level.glyph, _code(level.objective.expression), level.words) for level in report.slos]
        yield from (*Table(texts("", "service level", "observed"), levels).markdown(), "")
    if report.latency:
        yield from (*latency_table(report).markdown(), "")
    yield from ("<details><summary>Parameters, server, time</summary>", "")
    yield from _details(report)
    yield from ("", "</details>")


def _details(report: Report) -> Iterator[str]:
    facts = {
        "run": report.run_id,
        "seed": str(report.seed),
        "strategy": report.strategy,
        **{label(name): f"{value:g}" for name, value in report.parameters.items()},
        "server": f"PostgreSQL {report.server.version}, {report.server.where}",
        "claim phase": milliseconds(report.claim_phase * 1000),
        "whole drill": milliseconds(report.elapsed * 1000),
        **{f"fault: {fault.name}": f"took effect {fault.happened}×" for fault in report.faults},
    }
    if report.pool is not None:
        facts["pool"] = (
            f"{report.pool.peak_in_use} of {report.pool.size} in use, {report.pool.peak_waiting} waiting, "
            f"{report.pool.acquire_failures} refused, at most"
        )
    rows = [(_text(name), _code(value)) for name, value in facts.items()]
    yield from Table(texts("", ""), rows).markdown()
    if report.phases:
        yield from ("", *phase_table(report).markdown())


def _code(text: str) -> str:
    """Untrusted text that mentions nobody and links to nothing."""
    return f"<code>{_text(text)}</code>" if text else ""


def _text(text: str) -> str:
    """Untrusted text that Markdown and HTML do not interpret, on one line and of bounded length."""
    whole = safe(text)
    short = whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]}…"
    return _MEANINGFUL.sub(lambda found: f"&#{ord(found[0])};", short)
