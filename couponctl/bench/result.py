"""The result of a bench, for programs, people and pull requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from couponctl.present.table import Table


@dataclass(frozen=True, slots=True)
class Result:
    """A table, the same as a document, and warnings."""

    table: Table
    document: dict[str, Any]
    warnings: tuple[str, ...] = ()
    note: str = ""
    """What must be known to compare the numbers with others."""

    def on_unlogged_tables(self) -> Result:
        """Return a copy that says that the claims were not written to the server's log."""
        note = "UNLOGGED tables: these claims were not written to the server's log, as a sale's are"
        document = {**self.document, "unlogged": True}
        return replace(self, document=document, warnings=(*self.warnings, note), note=note)

    def markdown(self) -> str:
        """Nothing in it comes from outside, so nothing is escaped."""
        note = f"\n{self.note}.\n" if self.note else ""
        return "".join(f"{line}\n" for line in self.table.markdown()) + note
