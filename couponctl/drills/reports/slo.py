"""Service levels: limits that the operator sets for the figures of a run, beyond the drill's checks.

    METRIC OP VALUE     claimed.p99<250ms   errors=0   claims_per_s>=200   claim_phase<=1.5s

OP is one of < <= > >= =. A time requires a unit, ms or s; a count or a rate has none. Metrics:

    OUTCOME.n                                 answers of that kind, such as sold_out.n
    OUTCOME.p50 .p90 .p95 .p99 .max           their latency, nearest rank
    errors                                    answers other than claimed, already_claimed, sold_out, not_found
    claims_per_s                              claims won per second of the claim phase
    claim_phase                               time from the first intended start to the last answer
    pool.peak_waiting, pool.acquire_failures  maximum waiting for a connection at once; acquire timeouts

What was not measured is neither met nor missed: the percentile of an outcome that did not occur, and
everything if no claim was attempted.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from couponctl.drills.reports.decode import Facts
from couponctl.errors import Invalid
from couponctl.models import Outcome
from couponctl.present.glyph import Glyph

if TYPE_CHECKING:
    from collections.abc import Callable


OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_PERCENTILES = ("p50", "p90", "p95", "p99", "max")
TIMES = (*(f"{outcome.value}.{name}" for outcome in Outcome for name in _PERCENTILES), "claim_phase")
COUNTS = (
    *(f"{outcome.value}.n" for outcome in Outcome),
    "errors",
    "claims_per_s",
    "pool.peak_waiting",
    "pool.acquire_failures",
)

_MILLISECONDS = {"ms": 1.0, "s": 1000.0}
_GRAMMAR = re.compile(
    r"\s*(?P<metric>[a-z0-9_.]+)\s*(?P<operator><=|>=|<|>|=)\s*"
    r"(?P<value>[0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(?P<unit>[a-z]*)\s*",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Objective:
    """One service level that is asked for."""

    expression: str
    """As it was written, without blanks."""
    metric: str
    operator: str
    limit: float
    """Milliseconds if the metric is a time."""

    def met_by(self, observed: float) -> bool:
        return OPERATORS[self.operator](observed, self.limit)


@dataclass(frozen=True, slots=True)
class Level:
    """A service level compared with a report."""

    objective: Objective
    observed: float | None
    """To three decimals, as it is shown; None if there was nothing to measure; a time in milliseconds."""

    @property
    def met(self) -> bool | None:
        """None if there was nothing to measure."""
        return None if self.observed is None else self.objective.met_by(self.observed)

    @property
    def glyph(self) -> Glyph:
        if self.met is None:
            return Glyph.UNDECIDED
        return Glyph.PASSED if self.met else Glyph.WARNING

    @property
    def words(self) -> str:
        """What was observed, for people."""
        if self.observed is None:
            return "nothing to measure"
        return f"{self.observed:,}{' ms' if self.objective.metric in TIMES else ''}"

    def as_json(self) -> dict[str, Any]:
        return {"expression": self.objective.expression, "observed": self.observed, "met": self.met}

    @classmethod
    def from_json(cls, document: object) -> Level:
        """Read a level from the JSON of `as_json`; whether it is met follows from it. Raises Invalid."""
        facts = Facts(document)
        observed = None if facts.anything("observed") is None else facts.number("observed")
        return cls(parse(facts.one("expression", str)), observed)


def parse(expression: str) -> Objective:
    """Parse an expression of the grammar above. Raises Invalid, with the closest metric if there is one."""
    match = _GRAMMAR.fullmatch(expression)
    if match is None:
        raise _bad(expression, "write METRIC OP VALUE, such as claimed.p99<250ms or errors=0")
    metric, unit = match["metric"].lower(), match["unit"].lower()
    if metric not in TIMES + COUNTS:
        closest = get_close_matches(metric, TIMES + COUNTS, n=1, cutoff=0)[0]
        raise _bad(expression, f'there is no metric "{metric}"; the closest is {closest}')
    if metric in TIMES and unit not in _MILLISECONDS:
        raise _bad(expression, f"{metric} is a time: give it ms or s")
    if metric in COUNTS and unit:
        raise _bad(expression, f"{metric} is not a time and has no unit")
    limit = float(match["value"]) * _MILLISECONDS.get(unit, 1.0)
    return Objective("".join(expression.split()), metric, match["operator"], limit)


def _bad(expression: str, reason: str) -> Invalid:
    return Invalid(f'service level "{expression}"', reason)
