"""Drills and their reports in words, for the command line and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.drills.drill import Verdict
from couponctl.present import aligned, milliseconds, safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.drills.drill import Check, Drill, Parameters, View
    from couponctl.drills.report import Report

GLYPHS = {Verdict.PASS: "✔", Verdict.FAIL: "✘", Verdict.INCONCLUSIVE: "?"}


def plan_lines(drill: Drill[Any], parameters: Parameters) -> Iterator[str]:
    """What running the drill does to the server."""
    yield f"{drill.name}: create a schema couponctl_drill_…, and drop it afterwards"
    connections = parameters.pool_size + 2
    yield f"{drill.name}: open up to {connections} connections for up to {parameters.timeout:g} s"
    yield f"{drill.name}: touch {drill.blast_radius}"


def catalog_lines(drills: Sequence[Drill[Any]]) -> Iterator[str]:
    for drill in drills:
        yield f"{drill.name}: {drill.title}"
        yield f"  promise  {drill.promise}"
        yield f"  touches  {drill.blast_radius}"
        for parameter in drill.parameters.described():
            default = "" if parameter.default is None else f" [{parameter.default:g}]"
            yield f"  --{parameter.name.replace('_', '-')}{default}  {parameter.meaning}"


def progress_words(view: View) -> str:
    """Where a running drill is, for the end of a progress bar."""
    tallies = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in view.outcomes.items())
    return tallies or view.stage


def report_lines(report: Report) -> Iterator[str]:
    """The verdict, every check, latencies and the pool, each on a line."""
    parameters = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in report.parameters.items())
    yield f"{report.drill}  {GLYPHS[report.verdict]} {report.verdict}"
    yield f"  {parameters}, strategy {report.strategy}, seed {report.seed}"
    yield ""
    for line in aligned([_check_row(check) for check in report.checks], "<<<"):
        yield f"  {line}"
    if report.unfinished:
        yield f"  ? {safe(report.unfinished)}"
    if report.left_behind:
        yield f"  ? schema {report.left_behind} is left: `couponctl drill clean` removes it"
    if report.latency:
        yield ""
        for line in aligned(list(_latency_rows(report)), "<>>>>>>"):
            yield f"  {line}"
    yield ""
    if report.pool is not None:
        yield (
            f"  pool of {report.pool.size}: at most {report.pool.peak_in_use} in use, "
            f"{report.pool.peak_waiting} waiting, {report.pool.acquire_failures} refused"
        )
    yield (
        f"  the claims took {milliseconds(report.claim_phase * 1000)}, "
        f"the whole drill {milliseconds(report.elapsed * 1000)}; "
        f"PostgreSQL {safe(str(report.server.get('version', 'unknown')))}"
    )


def scorecard_lines(reports: Sequence[Report]) -> Iterator[str]:
    """One line a drill."""
    rows = [
        (
            f"{GLYPHS[report.verdict]} {report.verdict}",
            report.drill,
            f"{sum(check.held for check in report.checks)} of {len(report.checks)} checks",
            milliseconds(report.elapsed * 1000),
            report.broken[0].promise if report.broken else safe(report.unfinished),
        )
        for report in reports
    ]
    return aligned(rows, "<<>><")


def _check_row(check: Check) -> tuple[str, str, str]:
    if check.held:
        return ("✔", check.promise, safe(_shown(check.observed)))
    return ("✘", check.promise, safe(f"{_shown(check.observed)}, expected {_shown(check.expected)}"))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _latency_rows(report: Report) -> Iterator[tuple[str, ...]]:
    yield ("latency", "n", "p50", "p90", "p95", "p99", "max")
    for outcome, each in report.latency.items():
        times = (each.p50, each.p90, each.p95, each.p99, each.max)
        yield (outcome.value.replace("_", " "), f"{each.n:,}", *map(milliseconds, times))
