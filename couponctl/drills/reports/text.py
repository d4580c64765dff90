"""Drills and their reports in words, for the command line and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.drills.reports.conclusion import conclusion
from couponctl.models import Phases, label
from couponctl.present import milliseconds, safe
from couponctl.present.glyph import Glyph
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.drills.check import Check
    from couponctl.drills.drill import Drill, DrillSpec
    from couponctl.drills.progress import View
    from couponctl.drills.reports.report import Report

UNLOGGED = "the tables are UNLOGGED: not replicated, and nothing is proven about a crash of the server"


def plan_lines(spec: DrillSpec[Any]) -> Iterator[str]:
    """What running the drill does to the server."""
    drill = spec.drill
    yield f"{drill.name}: create a schema couponctl_drill_…, and drop it afterwards"
    yield f"{drill.name}: open up to {spec.connections} connections for up to {spec.parameters.timeout:g} s"
    if drill.faults:
        yield f"{drill.name}: inject faults: {', '.join(drill.faults)}"
    yield f"{drill.name}: blast radius: {drill.blast_radius}"


def catalog_lines(drills: Sequence[Drill[Any]]) -> Iterator[str]:
    for drill in drills:
        yield f"{drill.name}: {drill.title}"
        yield f"  expectation   {drill.promise}"
        yield f"  blast radius  {drill.blast_radius}"
        if drill.faults:
            yield f"  faults        {', '.join(drill.faults)}"
        for parameter in drill.parameters.described():
            default = "" if parameter.default is None else f" [{parameter.default:g}]"
            yield f"  --{parameter.name.replace('_', '-')}{default}  {parameter.meaning}"


def progress_words(view: View) -> str:
    """Where a running drill is, for the end of a progress bar."""
    tallies = {**view.outcomes, **({"cancelled": view.cancelled} if view.cancelled else {})}
    words = ", ".join(f"{count:,} {label(outcome)}" for outcome, count in tallies.items())
    return words or view.stage


def report_lines(report: Report) -> Iterator[str]:
    """The verdict, every check, latencies and the pool, each on a line; the report may come from a file."""
    yield f"{safe(report.drill)}  {conclusion(report)}"
    yield safe(f"  {parameter_words(report)}, strategy {report.strategy}, seed {report.seed}")
    yield ""
    yield from _indented(Table(texts("", "", ""), [check_row(check) for check in report.checks]))
    levels = [(level.glyph, level.objective.expression, level.words) for level in report.slos]
    yield from _indented(Table(texts("", "", ""), levels))
    for doubt in _doubts(report):
        yield f"  {Glyph.UNDECIDED} {safe(doubt)}"
    if report.latency:
        yield ""
        yield from _indented(latency_table(report))
    if report.phases:
        yield ""
        yield from _indented(phase_table(report))
    yield ""
    if report.pool is not None:
        yield (
            f"  pool of {report.pool.size}: at most {report.pool.peak_in_use} in use, "
            f"{report.pool.peak_waiting} waiting, {report.pool.acquire_failures} refused"
        )
    yield (
        f"  the claims took {milliseconds(report.claim_phase * 1000)}, "
        f"the whole drill {milliseconds(report.elapsed * 1000)}; "
        f"PostgreSQL {safe(report.server.version)}"
    )


def parameter_words(report: Report) -> str:
    """Return the parameters of the run; not yet safe to print."""
    return ", ".join(f"{label(name)} {value:g}" for name, value in report.parameters.items())


def _indented(table: Table) -> Iterator[str]:
    return (f"  {line}" for line in table.lines())


def _doubts(report: Report) -> Iterator[str]:
    """What the checks do not say."""
    if report.unfinished:
        yield report.unfinished
    if report.unlogged:
        yield UNLOGGED
    if report.left_behind:
        yield f"schema {report.left_behind} is left: `couponctl drill clean` removes it"


def scorecard_lines(reports: Sequence[Report]) -> Iterator[str]:
    """Yield a line per drill, and one per service level."""
    columns = texts("", "") + numbers("", "") + texts("")
    yield from Table(columns, [_score(report) for report in reports]).lines()
    levels = [
        (level.glyph, report.drill, level.objective.expression, level.words)
        for report in reports
        for level in report.slos
    ]
    if levels:
        yield ""
        yield from Table(texts("", "", "", ""), levels).lines()


def score_line(report: Report) -> str:
    """How a drill ended, on one line."""
    return "  ".join(filter(None, _score(report)))


def _score(report: Report) -> tuple[str, ...]:
    return (
        str(conclusion(report)),
        report.drill,
        f"{sum(check.held for check in report.checks)} of {len(report.checks)} checks",
        milliseconds(report.elapsed * 1000),
        safe(report.broken[0].promise if report.broken else report.unfinished),
    )


def check_row(check: Check) -> tuple[str, str, str]:
    observed = shown(check.observed)
    words = observed if check.held else f"{observed}, expected {shown(check.expected)}"
    return (check.glyph, safe(check.promise), safe(words))


def shown(value: Any) -> str:
    """A value of a check; not yet safe to print."""
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def latency_table(report: Report) -> Table:
    """Percentiles by outcome."""
    rows = []
    for outcome, each in report.latency.items():
        times = (each.p50, each.p90, each.p95, each.p99, each.max)
        rows.append((outcome.label, f"{each.n:,}", *map(milliseconds, times)))
    return Table(texts("latency") + numbers("n", "p50", "p90", "p95", "p99", "max"), rows)


def phase_table(report: Report) -> Table:
    """The mean of each phase by outcome; phases without a measurement are left out."""
    told = {phase for phases in report.phases.values() for phase in phases}
    names = [phase for phase in Phases._fields if phase in told]
    rows = []
    for outcome, phases in report.phases.items():
        means = (milliseconds(phases[name].mean) if name in phases else "" for name in names)
        rows.append((outcome.label, *means))
    return Table(texts("mean of") + numbers(*map(label, names)), rows)
