"""The only way to the screen: text that passes here is never markup and never controls the terminal."""

from __future__ import annotations

from enum import StrEnum

from textual.content import Content

from couponctl.errors import CouponctlError
from couponctl.present import safe
from couponctl.present.glyph import Glyph


class Tone(StrEnum):
    """The meaning of a piece of text; a word or a glyph always says it too."""

    PLAIN = ""
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    DIM = "dim"
    STRONG = "strong"
    ACCENT = "accent"
    CURRENT = "current"


_STYLES = {
    Tone.PLAIN: "",
    Tone.GOOD: "$text-success",
    Tone.WARN: "$text-warning",
    Tone.BAD: "bold $text-error",
    Tone.DIM: "$foreground-muted",
    Tone.STRONG: "bold",
    Tone.ACCENT: "$accent",
    Tone.CURRENT: "bold reverse $accent",
}


def literal(text: str, tone: Tone = Tone.PLAIN) -> Content:
    """Return any text on one line, with its control characters spelled out."""
    return Content.styled(safe(text), _STYLES[tone])


def sentence_of(error: Exception) -> str:
    """Return what went wrong, for the operator; the console survives any error."""
    return error.message if isinstance(error, CouponctlError) else f"unexpected: {type(error).__name__}"


def lines(*contents: Content) -> Content:
    return Content("\n").join(contents)


def joined(*parts: Content | str) -> Content:
    """Join pieces side by side; a bare string must be the program's own."""
    return Content.assemble(*parts)


def glyph_tone(text: str) -> Tone:
    """Return the tone of the glyph that the text begins with."""
    return next((Tone(glyph.tone) for glyph in Glyph if text.startswith(glyph)), Tone.PLAIN)
