"""A table of rows that keep changing: only changed cells are written, and the cursor stays on its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.widgets import DataTable

from couponctl.present import safe
from couponctl.tui.text import Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events
    from textual.theme import Theme

_PADDING = 2
"""Cells of padding per column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and its rank where room is short."""

    title: str
    width: int
    right: bool = False
    grows: bool = False
    """Takes the remaining room."""
    rank: int = 0
    """The highest is dropped first; 0 is never dropped."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Pieces of text, each with its tone; they are shown literally."""

    pieces: tuple[tuple[str, Tone], ...]


def cell(text: str, tone: Tone = Tone.PLAIN) -> Cell:
    return Cell(((text, tone),))


@dataclass(frozen=True, slots=True)
class Row:
    """A row with a key of its own, and one cell per column."""

    key: str
    cells: tuple[Cell, ...]


class LiveTable(DataTable[Text]):
    """Shows rows by position, so that any change of order is a change of cells."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"live-table--{tone.value}" for tone in Tone if tone}

    def __init__(self, columns: Sequence[Column], *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._planned = tuple(columns)
        self._visible: tuple[tuple[int, Column], ...] = ()
        self._shown: list[Row] = []
        self._styles: dict[Tone, Style | str] = {}

    def on_mount(self) -> None:
        self._choose_cursor()
        self.app.theme_changed_signal.subscribe(self, self._recolor)

    def on_resize(self, event: events.Resize) -> None:
        visible = _fitting(self._planned, event.size.width - 1)
        if visible != self._visible:
            self._visible = visible
            self._draw_anew()

    @property
    def selected(self) -> str | None:
        """The key of the row under the cursor."""
        return self._shown[self.cursor_row].key if 0 <= self.cursor_row < len(self._shown) else None

    def select(self, key: str) -> None:
        """Move the cursor to the row, if it is there."""
        for position, row in enumerate(self._shown):
            if row.key == key and position != self.cursor_row:
                self.move_cursor(row=position, animate=False)

    def show(self, rows: Sequence[Row]) -> None:
        """Update the table to these rows."""
        selected = self.selected
        before, self._shown = self._shown, list(rows)
        for position in range(len(before), len(rows), -1):
            self.remove_row(str(position - 1))
        for position, row in enumerate(rows):
            if position >= len(before):
                self._add(position, row)
            elif row != before[position]:
                self._change(position, before[position], row)
        if selected is not None and selected != self.selected:
            self.select(selected)

    def _add(self, position: int, row: Row) -> None:
        texts = [self._text(row.cells[index], column) for index, column in self._visible]
        self.add_row(*texts, key=str(position))

    def _change(self, position: int, before: Row, row: Row) -> None:
        for index, column in self._visible:
            if row.cells[index] != before.cells[index]:
                self.update_cell(str(position), column.title, self._text(row.cells[index], column))

    def _draw_anew(self) -> None:
        rows, cursor, top = self._shown, self.cursor_row, self.scroll_y
        self.clear(columns=True)
        for _, column in self._visible:
            title = Text(column.title, justify="right" if column.right else "left")
            self.add_column(title, key=column.title, width=column.width)
        for position, row in enumerate(rows):
            self._add(position, row)
        self.move_cursor(row=cursor, animate=False, scroll=False)
        self.scroll_to(y=top, animate=False)

    def _choose_cursor(self) -> None:
        """Keep cell colours under the cursor, except the ANSI colours: reversed they are hard to read."""
        self.cursor_foreground_priority = "css" if self.app.current_theme.ansi else "renderable"

    def _recolor(self, _theme: Theme) -> None:
        self._choose_cursor()
        self._styles.clear()
        self._draw_anew()

    def _text(self, cell: Cell, column: Column) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis", justify="right" if column.right else "left", end="")
        for piece, tone in cell.pieces:
            text.append(safe(piece), self._style(tone))
        text.truncate(column.width, overflow="ellipsis")
        return text

    def _style(self, tone: Tone) -> Style | str:
        if tone not in self._styles:
            self._styles[tone] = (
                self.get_component_rich_style(f"live-table--{tone.value}", partial=True) if tone else ""
            )
        return self._styles[tone]

    def action_cursor_bottom(self) -> None:
        self.move_cursor(row=len(self._shown) - 1)

    def action_cursor_top(self) -> None:
        self.move_cursor(row=0)


def _fitting(columns: Sequence[Column], width: int) -> tuple[tuple[int, Column], ...]:
    """Return the columns that fit, with their indexes; the growing one takes the remaining room."""
    kept = list(enumerate(columns))
    while _total(kept) > width and any(column.rank for _, column in kept):
        kept.remove(max(kept, key=lambda each: each[1].rank))
    rest = max(0, width - _total(kept))
    return tuple((index, _grown(column, rest)) for index, column in kept)


def _grown(column: Column, rest: int) -> Column:
    return Column(column.title, column.width + rest, column.right, grows=True) if column.grows else column


def _total(columns: Sequence[tuple[int, Column]]) -> int:
    return sum(column.width + _PADDING for _, column in columns)
