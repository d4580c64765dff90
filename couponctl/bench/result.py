"""The result of a bench, for programs, people and pull requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from couponctl.present import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Result:
    """A table, the same as a document, and warnings."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    document: dict[str, Any]
    warnings: tuple[str, ...] = ()
    note: str = ""
    """What must be known to compare the numbers with others."""

    def on_unlogged_tables(self) -> Result:
        """Return a copy that says that the claims were not written to the server's log."""
        note = "UNLOGGED tables: these claims were not written to the server's log, as a sale's are"
        document = {**self.document, "unlogged": True}
        return replace(self, document=document, warnings=(*self.warnings, note), note=note)

    def lines(self) -> Iterator[str]:
        """The first column is a name, the others are numbers."""
        return aligned([self.header, *self.rows], "<" + ">" * (len(self.header) - 1))

    def markdown(self) -> str:
        """Nothing in it comes from outside, so nothing is escaped."""
        numbers = ["---:"] * (len(self.header) - 1)
        table = (self.header, ("---", *numbers), *self.rows)
        note = f"\n{self.note}.\n" if self.note else ""
        return "".join(f"| {' | '.join(row)} |\n" for row in table) + note
