"""The keys of a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from couponctl.tui.text import Tone, joined, lines, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App, ComposeResult
    from textual.binding import ActiveBinding, BindingType
    from textual.screen import Screen

_OF_EVERY_SCREEN = ("app.focus_next", "app.focus_previous", "screen.copy_text")
"""Actions of Textual itself: useful, but listed last."""


def keys_of(app: App[Any], screen: Screen[Any]) -> tuple[tuple[str, str], ...]:
    """Return keys and meanings, each meaning once: the mode's first, then those of the focused widget."""

    def place(active: ActiveBinding) -> int:
        if active.binding.action in _OF_EVERY_SCREEN:
            return 2
        return 0 if active.node in {screen, app} else 1

    keys: dict[str, str] = {}
    for active in sorted(screen.active_bindings.values(), key=place):
        meaning, key = active.binding.description, app.get_key_display(active.binding)
        if meaning and len(key) < len(keys.get(meaning, key + " ")):
            keys[meaning] = key
    return tuple((key, meaning) for meaning, key in keys.items())


class HelpScreen(ModalScreen[None]):
    """A list of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        rows = [joined(literal(f"{key:>9}  ", Tone.ACCENT), literal(meaning)) for key, meaning in self._keys]
        with Vertical(classes="dialog tall") as dialog:
            dialog.border_title = literal("Keys")
            dialog.border_subtitle = literal("esc close")
            yield VerticalScroll(Static(lines(*rows)))
