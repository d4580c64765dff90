"""A framed part of a screen, which says when its content is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.widgets import Static

from couponctl.tui.text import Tone, literal

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.content import Content
    from textual.widget import Widget


class Pane(Vertical):
    """A titled frame around widgets; `say_stale` shows a warning at its foot."""

    def __init__(self, title: str, *inside: Widget, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, classes="pane")
        self._inside = inside
        self._stale = ""
        self._title = ""
        self._count = ""
        self.retitle(title)

    def compose(self) -> ComposeResult:
        yield from self._inside
        yield Static(classes="stale", markup=False)

    def retitle(self, title: str) -> None:
        if title != self._title:
            self._title = title
            self.border_title = literal(title)

    def count(self, words: str) -> None:
        """Show the number of items in the lower border."""
        if words != self._count:
            self._count = words
            self.border_subtitle = literal(words)

    def say_stale(self, words: str) -> None:
        """Show why the content is stale; empty if it is fresh."""
        if words != self._stale:
            self._stale = words
            self.set_class(bool(words), "-stale")
            self.query_one(".stale", Static).update(literal(words, Tone.WARN))


class LiveText(Static):
    """Text that changes often: drawn only when it has changed."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes, markup=False)
        self._shown: Content | None = None

    def show(self, content: Content) -> None:
        if self._shown is None or not _same(content, self._shown):
            self._shown = content
            self.update(content)


def _same(one: Content, other: Content) -> bool:
    """Whether both are equal, spans included: Content compares only its text."""
    return one.plain == other.plain and one.spans == other.spans
