"""A line to type into, which shows whatever it is given without obeying it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.highlighter import Highlighter
from textual.widgets import Input

from couponctl.present import safe

if TYPE_CHECKING:
    from rich.text import Text


class _Spelled(Highlighter):
    """A sign for each character that controls a terminal; one for one, so that the cursor keeps its place."""

    def highlight(self, text: Text) -> None:
        text.plain = "".join(c if safe(c) == c else "\N{REPLACEMENT CHARACTER}" for c in text.plain)


class Typed(Input):
    """An Input that is prefilled from the database, or pasted into."""

    def __init__(
        self,
        value: str | None = None,
        *,
        id: str,  # noqa: A002 - Textual's word
        placeholder: str = "",
    ) -> None:
        super().__init__(value, placeholder, _Spelled(), id=id)
