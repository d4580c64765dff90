"""A text to read, worded as on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from couponctl.tui.text import glyph_tone, lines, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType


class TextScreen(ModalScreen[None]):
    """Lines that scroll; those that begin with a glyph have its colour."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q", "dismiss", "Close")]

    def __init__(self, title: str, text: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._text = tuple(text)

    def compose(self) -> ComposeResult:
        shown = lines(*(literal(line, glyph_tone(line.strip())) for line in self._text))
        with Vertical(classes="dialog tall wide") as dialog:
            dialog.border_title = literal(self._title)
            dialog.border_subtitle = literal("esc close")
            yield VerticalScroll(Static(shown, markup=False))
