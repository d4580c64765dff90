"""Copying text to the terminal's clipboard, without claiming more than is known of the result.

A terminal is asked by OSC 52 and never answers; tmux passes the request on only if told to, screen never.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import App

_BETWEEN = {
    "TMUX": "tmux passes it on only after: set -s set-clipboard on",
    "STY": "screen does not pass it on: select the text with Shift and the mouse",
}
"""Programs between the console and the terminal, by the variable that they set."""

_SECONDS = 6
"""Duration of the toast: long enough to select its text."""


def copy(app: App[Any], text: str) -> None:
    """Copy the text, show it, and name what may prevent it."""
    app.copy_to_clipboard(text)
    words = "\n".join([safe(text), *hints(os.environ)])
    app.notify(words, title="Sent to the terminal's clipboard", timeout=_SECONDS, markup=False)


def hints(environment: Mapping[str, str]) -> list[str]:
    return [hint for variable, hint in _BETWEEN.items() if environment.get(variable)]
