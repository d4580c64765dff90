"""The measurements of a closed bench, and their summary over several rounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from couponctl.bench.result import Result
from couponctl.present import counted, milliseconds
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.bench.timed import Timed

PGBENCH = "pgbench"
"""The baseline: a claim in five round trips, made by a client written in C."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A subject, its number of claims in flight, and the number of coupons."""

    subject: str
    """A strategy, or `pgbench`."""
    in_flight: int
    coupons: int

    @property
    def words(self) -> str:
        return f"{self.subject}, {self.in_flight:,} in flight on {counted(self.coupons, 'coupon')}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell in one round."""

    cell: Cell
    timed: Timed
    baseline: float | None
    """Claims per second of pgbench in the same round, on as many coupons; None without pgbench."""

    @property
    def vs_pgbench(self) -> float | None:
        return self.timed.claims_per_s / self.baseline if self.baseline else None


@dataclass(frozen=True, slots=True)
class Row:
    """A cell over all rounds: medians, and the range of the rates."""

    cell: Cell
    claims_per_s: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    vs_pgbench: float | None
    failed: int
    """Of all rounds together."""

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.cell.subject,
            "in_flight": self.cell.in_flight,
            "coupons": self.cell.coupons,
            "claims_per_s": round(self.claims_per_s, 1),
            "claims_per_s_range": [round(self.slowest, 1), round(self.fastest, 1)],
            "p50_ms": round(self.p50_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
            "vs_pgbench": None if self.vs_pgbench is None else round(self.vs_pgbench, 2),
            "failed": self.failed,
        }

    def cells(self) -> tuple[str, ...]:
        """The cells for _COLUMNS."""
        return (
            self.cell.subject,
            f"{self.cell.in_flight:,}",
            f"{self.cell.coupons:,}",
            f"{self.claims_per_s:,.0f}",
            f"{self.slowest:,.0f}",
            f"{self.fastest:,.0f}",
            milliseconds(self.p50_ms),
            milliseconds(self.p99_ms),
            "" if self.vs_pgbench is None else f"{self.vs_pgbench:.2f}",
        )


_COLUMNS = texts("SUBJECT") + numbers(
    "IN FLIGHT", "COUPONS", "CLAIMS/S", "FROM", "TO", "P50", "P99", "× PGBENCH"
)


def summed_up(measurements: Sequence[Measurement]) -> tuple[Row, ...]:
    """Return a row per cell, in the order in which the cells were first measured."""
    by_cell: dict[Cell, list[Measurement]] = {}
    for each in measurements:
        by_cell.setdefault(each.cell, []).append(each)
    return tuple(_row(cell, rounds) for cell, rounds in by_cell.items())


def _row(cell: Cell, rounds: Sequence[Measurement]) -> Row:
    rates = [each.timed.claims_per_s for each in rounds]
    ratios = [each.vs_pgbench for each in rounds if each.vs_pgbench is not None]
    return Row(
        cell=cell,
        claims_per_s=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=median(each.timed.p50_ms for each in rounds),
        p99_ms=median(each.timed.p99_ms for each in rounds),
        vs_pgbench=median(ratios) if ratios else None,
        failed=sum(each.timed.failed for each in rounds),
    )


def result_of(rows: Sequence[Row]) -> Result:
    return Result(
        Table(_COLUMNS, [row.cells() for row in rows]),
        {"rows": [row.as_json() for row in rows]},
        tuple(f"{row.cell.words}: {counted(row.failed, 'claim')} FAILED" for row in rows if row.failed),
    )
