"""Two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical
from textual.screen import ModalScreen

from couponctl.drills.reports.conclusion import conclusion
from couponctl.present import counted
from couponctl.tui.text import Tone, glyph_tone, joined, lines, literal
from couponctl.tui.widgets.live_table import Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.content import Content

    from couponctl.drills.reports.comparison import Comparison
    from couponctl.drills.reports.report import Report

_COLUMNS = (
    Column("", 16, grows=True),
    Column("Before", 18, right=True),
    Column("After", 18, right=True),
    Column("Change", 9, right=True),
)


class ComparisonScreen(ModalScreen[None]):
    """All facts of two runs, side by side."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q", "dismiss", "Close")]

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._comparison = comparison

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall wide") as dialog:
            dialog.border_title = literal("Compare")
            dialog.border_subtitle = literal("esc close")
            yield LiveText(id="compared")
            yield LiveTable(_COLUMNS, id="comparison")

    def on_mount(self) -> None:
        runs = (("before", self._comparison.before), ("after ", self._comparison.after))
        heads = [_head(when, run) for when, run in runs]
        if not self._comparison.of_one_drill:
            heads.append(literal("two different drills: their numbers need not mean the same", Tone.WARN))
        heads.append(literal(f"{counted(len(self._comparison.well), 'check')} passed in both runs", Tone.DIM))
        self.query_one("#compared", LiveText).show(lines(*heads))
        rows = []
        for number, row in enumerate(self._comparison.told):
            what, before, after, change = row.cells
            cells = (cell(what), *(cell(text, glyph_tone(text)) for text in (before, after, change)))
            rows.append(Row(str(number), cells))
        self.query_one(LiveTable).show(rows)


def _head(when: str, run: Report) -> Content:
    ended = conclusion(run)
    return joined(
        literal(f"{when}  {run.run_id}  {run.drill}  "), literal(str(ended), glyph_tone(ended.glyph))
    )
