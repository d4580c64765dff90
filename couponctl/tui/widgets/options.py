"""A list to choose from, whose highlighted entry is visible without colours too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.widgets import OptionList

if TYPE_CHECKING:
    from textual.strip import Strip

_REVERSE = Style(reverse=True)


class Options(OptionList):
    """Reverses the highlighted entry if colours may be missing or are the terminal's own.

    Textual ignores `text-style: reverse` of an option.
    """

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        plain = self.app.no_color or self.app.current_theme.ansi
        return strip.apply_style(_REVERSE) if plain and self._is_highlighted(strip) else strip

    def _is_highlighted(self, strip: Strip) -> bool:
        return any(style and style.meta.get("option", -1) == self.highlighted for _, style, _ in strip)
