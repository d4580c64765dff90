"""What a bench has to say, for programs, people and pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from couponctl.present import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Result:
    """A table, a document of the same, and what must not be overlooked."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    document: dict[str, Any]
    warnings: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The first column is a name, the others are numbers."""
        return aligned([self.header, *self.rows], "<" + ">" * (len(self.header) - 1))

    def markdown(self) -> str:
        """Nothing in it comes from outside, so nothing is escaped."""
        numbers = ["---:"] * (len(self.header) - 1)
        table = (self.header, ("---", *numbers), *self.rows)
        return "".join(f"| {' | '.join(row)} |\n" for row in table)
