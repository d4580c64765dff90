"""Two runs side by side: parameters, checks, outcomes and times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from couponctl.drills.reports.conclusion import conclusion
from couponctl.models import Outcome, label
from couponctl.present import counted, milliseconds, safe
from couponctl.present.glyph import Glyph
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from couponctl.drills.reports.report import Report

HELD, BROKEN = "held", "broken"
"""The state of a check in one run, as JSON has it."""

_STATES = {HELD: "passed", BROKEN: "failed"}

_CHECKS = "checks"
_NOTHING = "-"
"""In place of a value that a run does not have."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of two runs, as JSON values; None for a run that does not have it."""

    section: str
    """`run`, `checks`, `outcomes`, `latency`, `speed` or `pool`."""
    what: str
    """An expectation, or a name such as `pool_size`, `sold_out` or `claimed.p99`."""
    before: Any
    after: Any
    unit: str = ""
    """`ms` for a time."""
    said: tuple[str, str] = ("", "")
    """Shown instead of the two values, where it says more."""
    check: str = ""
    """The id of a check."""

    @property
    def percent(self) -> float | None:
        """The change in percent of the earlier number; None if there is none."""
        match self.before, self.after:
            case int() | float() as before, int() | float() as after if before:
                return 100 * (after - before) / abs(before)
        return None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """What, before, after and change, safe to print."""
        what = self.what if self.section == _CHECKS else label(self.what).replace(".", " ")
        before, after = self.said
        return safe(what), before or self._shown(self.before), after or self._shown(self.after), self._change

    def as_json(self) -> dict[str, Any]:
        percent = None if self.percent is None else round(self.percent, 1)
        return {
            "section": self.section,
            "what": self.what,
            "check": self.check or None,
            "before": self.before,
            "after": self.after,
            "unit": self.unit or None,
            "change_percent": percent,
        }

    @property
    def _change(self) -> str:
        if self.before == self.after:
            return ""
        if self.section == _CHECKS and None not in (self.before, self.after):
            return f"{Glyph.FAILED} failed" if self.after == BROKEN else f"{Glyph.PASSED} fixed"
        return "" if self.percent is None else f"{self.percent:+,.1f} %"

    def _shown(self, value: Any) -> str:
        if value is None:
            return _NOTHING
        if self.section == _CHECKS:
            return _STATES[value]
        if self.unit:
            return milliseconds(value)
        return f"{value:,.10g}" if isinstance(value, int | float) else safe(str(value))


@dataclass(frozen=True, slots=True)
class Comparison:
    """An earlier run and a later one; they need not be of one drill."""

    before: Report
    after: Report
    rows: tuple[Row, ...]

    @property
    def well(self) -> tuple[Row, ...]:
        """The checks that passed in both runs."""
        return tuple(row for row in self.rows if row.section == _CHECKS and row.before == row.after == HELD)

    @property
    def told(self) -> tuple[Row, ...]:
        """All other rows: those to show one by one."""
        return tuple(row for row in self.rows if row not in self.well)

    @property
    def of_one_drill(self) -> bool:
        return self.before.drill == self.after.drill

    def as_json(self) -> dict[str, Any]:
        """The documented shape; times in milliseconds."""
        return {
            "before": self.before.run_id,
            "after": self.after.run_id,
            "of_one_drill": self.of_one_drill,
            "rows": [row.as_json() for row in self.rows],
        }


def compare(before: Report, after: Report) -> Comparison:
    """Compare two runs: of what they were given only what differs, of the results everything."""
    given = _rows("run", _given(before), _given(after))
    rows = (
        *(row for row in given if row.before != row.after),
        _verdicts(before, after),
        *_check_rows(before, after),
        *_rows("outcomes", _outcomes(before, after), _outcomes(after, before)),
        *_rows("latency", _latencies(before), _latencies(after), "ms"),
        Row("speed", "claims_per_s", before.claims_per_s, after.claims_per_s),
        Row("speed", "claim_phase", _phase_ms(before), _phase_ms(after), "ms"),
        *_rows("pool", _peaks(before), _peaks(after)),
    )
    return Comparison(before, after, rows)


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Yield the two runs, then the rows by section, without the checks that held in both."""
    runs = {"before": comparison.before, "after": comparison.after}
    heads = [(when, safe(run.run_id), safe(run.drill), str(conclusion(run))) for when, run in runs.items()]
    yield from Table(texts("", "", "", ""), heads).lines()
    if not comparison.of_one_drill:
        yield "two different drills: their numbers need not mean the same"
    told = comparison.told
    rows: list[tuple[str, ...]] = []
    for index, row in enumerate(told):
        if index and row.section != told[index - 1].section:
            rows.append(("", "", "", ""))
        rows.append(row.cells)
    yield ""
    yield from Table(texts("") + numbers("before", "after", "change"), rows).lines()
    yield ""
    yield f"{counted(len(comparison.well), 'check')} passed in both runs"


def _rows(section: str, before: Mapping[str, Any], after: Mapping[str, Any], unit: str = "") -> Iterator[Row]:
    """Yield a row for each key of either, those of `before` first."""
    for what in {**before, **after}:
        yield Row(section, what, before.get(what), after.get(what), unit)


def _check_rows(before: Report, after: Report) -> Iterator[Row]:
    """Match checks by id, under the later run's wording: it may change from version to version."""
    promises = {check.id: check.promise for check in (*before.checks, *after.checks)}
    for row in _rows(_CHECKS, _checks(before), _checks(after)):
        yield replace(row, what=promises[row.what], check=row.what)


def _verdicts(before: Report, after: Report) -> Row:
    said = (str(conclusion(before)), str(conclusion(after)))
    return Row("run", "verdict", before.verdict.value, after.verdict.value, said=said)


def _given(report: Report) -> dict[str, Any]:
    return {
        "drill": report.drill,
        "strategy": report.strategy,
        "server": report.server.where,
        "version": report.server.version,
        "tables": "unlogged" if report.unlogged else "logged",
        **report.parameters,
    }


def _checks(report: Report) -> dict[str, str]:
    """Return the state of each check by id; one that occurs more than once must have held each time."""
    broken = {check.id for check in report.broken}
    return {check.id: BROKEN if check.id in broken else HELD for check in report.checks}


def _outcomes(report: Report, other: Report) -> dict[str, int]:
    """Return the counts of all outcomes of either run; 0 where only the other has one."""
    heard = report.outcomes.keys() | other.outcomes.keys()
    return {outcome.value: report.outcomes.get(outcome, 0) for outcome in Outcome if outcome in heard}


def _latencies(report: Report) -> dict[str, float]:
    return {
        f"{outcome.value}.{name}": round(getattr(each, name), 3)
        for outcome, each in sorted(report.latency.items())
        for name in ("p50", "p99")
    }


def _phase_ms(report: Report) -> float:
    return round(report.claim_phase * 1000, 3)


def _peaks(report: Report) -> dict[str, int]:
    if report.pool is None:
        return {}
    return {name: getattr(report.pool, name) for name in ("peak_in_use", "peak_waiting", "acquire_failures")}
