"""A line to type into, which shows whatever it is given without obeying it."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Input

from couponctl.present import safe


class Typed(Input):
    """An Input that is prefilled from the database, or pasted into.

    Textual's own sends escape sequences in its value to the terminal. One sign stands for each character
    that controls or cannot be seen, so that the cursor stays in its place.
    """

    @property
    def _value(self) -> Text:
        shown = "".join(c if safe(c) == c else "\N{REPLACEMENT CHARACTER}" for c in self.value)
        return Text(shown, no_wrap=True, overflow="ignore", end="")
