"""What a bench measures, and what becomes of several rounds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from couponctl.present import aligned, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PGBENCH = "pgbench"
"""The yardstick: a claim in five round trips, made by a client written in C."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Who claims, how many at once, and on how many coupons."""

    subject: str
    """A strategy, or `pgbench`."""
    in_flight: int
    coupons: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One cell in one round."""

    cell: Cell
    claims_per_s: float
    p50_ms: float
    p99_ms: float
    vs_pgbench: float | None
    """Times the rate of pgbench in the same round, on as many coupons; None where there was no pgbench."""


@dataclass(frozen=True, slots=True)
class Row:
    """A cell over all rounds: medians, and how far the rates were apart."""

    cell: Cell
    claims_per_s: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    vs_pgbench: float | None

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
        }


def summed_up(measurements: Sequence[Measurement]) -> tuple[Row, ...]:
    """A row a cell, in the order in which the cells were first measured."""
    by_cell: dict[Cell, list[Measurement]] = {}
    for each in measurements:
        by_cell.setdefault(each.cell, []).append(each)
    return tuple(_row(cell, rounds) for cell, rounds in by_cell.items())


def _row(cell: Cell, rounds: Sequence[Measurement]) -> Row:
    rates = [each.claims_per_s for each in rounds]
    ratios = [each.vs_pgbench for each in rounds if each.vs_pgbench is not None]
    return Row(
        cell=cell,
        claims_per_s=median(rates),
        slowest=min(rates),
        fastest=max(rates),
        p50_ms=median(each.p50_ms for each in rounds),
        p99_ms=median(each.p99_ms for each in rounds),
        vs_pgbench=median(ratios) if ratios else None,
    )


HEADER = ("SUBJECT", "IN FLIGHT", "COUPONS", "CLAIMS/S", "FROM", "TO", "P50", "P99", "VS PGBENCH")
ALIGNMENT = "<>>>>>>>>"


def cells_of(row: Row) -> tuple[str, ...]:
    """Texts for HEADER."""
    return (
        row.cell.subject,
        f"{row.cell.in_flight:,}",
        f"{row.cell.coupons:,}",
        f"{row.claims_per_s:,.0f}",
        f"{row.slowest:,.0f}",
        f"{row.fastest:,.0f}",
        milliseconds(row.p50_ms),
        milliseconds(row.p99_ms),
        "" if row.vs_pgbench is None else f"{row.vs_pgbench:.2f}×",
    )


def row_lines(rows: Sequence[Row]) -> Iterator[str]:
    return aligned([HEADER, *map(cells_of, rows)], ALIGNMENT)


def markdown_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table for a pull request; nothing in it comes from outside."""
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join('---' if column == 0 else '---:' for column in range(len(header)))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
