"""Tables: columns that know their heading and their side, for terminals and for Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.present import cells

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and whether its cells are aligned right, as numbers are."""

    heading: str
    right: bool = False


def texts(*headings: str) -> tuple[Column, ...]:
    """Return columns that are aligned left."""
    return tuple(map(Column, headings))


def numbers(*headings: str) -> tuple[Column, ...]:
    """Return columns that are aligned right."""
    return tuple(Column(heading, right=True) for heading in headings)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with a cell for each column; whoever makes it makes the cells safe for where they are shown."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[str]]

    def lines(self) -> Iterator[str]:
        """Yield the lines for a terminal; a line of headings only where a column has one."""
        rows = [self._headings, *self.rows] if any(self._headings) else self.rows
        widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            padded = (
                " " * (width - cells(text)) + text if column.right else text + " " * (width - cells(text))
                for text, width, column in zip(row, widths, self.columns, strict=True)
            )
            yield "  ".join(padded).rstrip()

    def markdown(self) -> Iterator[str]:
        """Yield the lines for Markdown, which always has a line of headings."""
        sides = ["---:" if column.right else "---" for column in self.columns]
        for row in (self._headings, sides, *self.rows):
            yield f"| {' | '.join(row)} |"

    @property
    def _headings(self) -> list[str]:
        return [column.heading for column in self.columns]
