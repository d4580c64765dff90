"""An input line that shows any text without letting it control the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.highlighter import Highlighter
from textual.widgets import Input

from couponctl.present import counted, safe

if TYPE_CHECKING:
    from rich.text import Text
    from textual.events import Key, Paste


class _Spelled(Highlighter):
    """Replaces each control character by one sign, so that the cursor keeps its place."""

    def highlight(self, text: Text) -> None:
        text.plain = "".join(c if safe(c) == c else "\N{REPLACEMENT CHARACTER}" for c in text.plain)


class SafeInput(Input):
    """An Input for text from the database or the clipboard; while it is `locked` it takes nothing."""

    locked = False

    def __init__(
        self,
        value: str | None = None,
        *,
        id: str,  # noqa: A002 - Textual's word
        placeholder: str = "",
    ) -> None:
        super().__init__(value, placeholder, _Spelled(), id=id)

    def on_key(self, event: Key) -> None:
        if self.locked and event.is_printable:
            event.prevent_default().stop()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.locked and super().check_action(action, parameters)

    def on_paste(self, event: Paste) -> None:
        event.prevent_default().stop()
        self._take(event.text)

    def action_paste(self) -> None:
        self._take(self.app.clipboard)

    def _take(self, pasted: str) -> None:
        """Insert one pasted line, ignoring blank ones; of several none: it is unclear which was meant."""
        written = [line for line in pasted.splitlines() if line.strip()]
        if self.locked or not written:
            return
        if len(written) == 1:
            self.replace(written[0], *self.selection)
        else:
            words = f"{counted(len(written), 'line')} pasted where only one fits: none inserted"
            self.app.notify(words, severity="warning")
