"""The whole event log, for reading and for copying command lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable

from couponctl.tui.clipboard import copy
from couponctl.tui.text import Tone, literal
from couponctl.tui.widgets.live_table import Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from couponctl.tui.events import EventLog


class EventsScreen(ModalScreen[None]):
    """Every event of the session, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "dismiss", "Close"),
        ("y", "copy", "Copy the command line"),
    ]

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._events = log.events[::-1]

    def compose(self) -> ComposeResult:
        columns = (
            Column("Time", 8),
            Column("What", 20, grows=True),
            Column("The same in a shell", 50, rank=1),
        )
        with Vertical(classes="dialog tall wide") as dialog:
            dialog.border_title = literal("Events")
            dialog.border_subtitle = literal("y copy the command line · esc close")
            yield LiveTable(columns, id="event-table")
            yield LiveText(id="command")

    def on_mount(self) -> None:
        self.query_one(LiveTable).show(
            [
                Row(str(i), (cell(e.time, Tone.DIM), cell(e.words, e.tone), cell(e.command)))
                for i, e in enumerate(self._events)
            ]
        )

    @property
    def _command(self) -> str:
        """The command line of the event under the cursor."""
        selected = self.query_one(LiveTable).selected
        return "" if selected is None else self._events[int(selected)].command

    @on(DataTable.RowHighlighted)
    def _selection_moved(self) -> None:
        # In full: the column may be too narrow for it.
        self.query_one("#command", LiveText).show(literal(self._command and f"$ {self._command}"))

    @on(DataTable.RowSelected)
    def action_copy(self) -> None:
        if self._command:
            copy(self.app, self._command)
