"""What can be pressed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from couponctl.tui.text import Tone, joined, lines, literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import App, ComposeResult
    from textual.binding import BindingType
    from textual.screen import Screen


def keys_of(app: App[Any], screen: Screen[Any]) -> tuple[tuple[str, str], ...]:
    """Keys of the screen and of what has focus in it, with their meanings; each meaning once."""
    meanings: dict[str, str] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and binding.description not in meanings.values():
            meanings[app.get_key_display(binding)] = binding.description
    return tuple(meanings.items())


class KeysScreen(ModalScreen[None]):
    """A list of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = tuple(keys)

    def compose(self) -> ComposeResult:
        rows = [joined(literal(f"{key:>8}  ", Tone.ACCENT), literal(meaning)) for key, meaning in self._keys]
        with Vertical(classes="dialog tall") as dialog:
            dialog.border_title = literal("Keys")
            dialog.border_subtitle = literal("esc close")
            yield VerticalScroll(Static(lines(*rows)))
