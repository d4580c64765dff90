"""The console's own colours: one accent, and green, amber and red only where they mean something."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="couponctl",
    primary="#7AA2F7",
    secondary="#7DCFFF",
    accent="#FF9E64",
    foreground="#C0CAF5",
    background="#16161E",
    surface="#1A1B26",
    panel="#24283B",
    success="#9ECE6A",
    warning="#E0AF68",
    error="#F7768E",
    dark=True,
    variables={
        "line": "#3B4261",
        "footer-background": "#16161E",
        "footer-key-foreground": "#FF9E64",
        "footer-description-foreground": "#C0CAF5",
    },
)

LIGHT = Theme(
    name="couponctl-light",
    primary="#2E5AAC",
    secondary="#00677D",
    accent="#A8480B",
    foreground="#2C3047",
    background="#F4F4F8",
    surface="#FFFFFF",
    panel="#E2E4EE",
    success="#2F6B1B",
    warning="#7A5200",
    error="#B3203E",
    dark=False,
    variables={
        "line": "#B4B9D0",
        "footer-background": "#F4F4F8",
        "footer-key-foreground": "#A8480B",
        "footer-description-foreground": "#2C3047",
    },
)

THEMES = (DARK, LIGHT)

_ANSI = "ansi-"
FEW_COLORS = f"{_ANSI}dark"
"""Uses the terminal's own sixteen colours, and none at all under NO_COLOR."""


def first_theme(color_system: str | None, *, no_color: bool, wished: str = "") -> str:
    """Return the theme to start with: the wished one, if the terminal can show it."""
    if no_color or color_system in {None, "standard"}:
        return wished if wished.startswith(_ANSI) else FEW_COLORS
    return wished or DARK.name
