"""The one door to the screen: no text that passes it is markup, and none of it controls a terminal."""

from __future__ import annotations

from enum import StrEnum

from textual.content import Content

from couponctl.errors import CouponctlError
from couponctl.present import safe


class Tone(StrEnum):
    """What a piece of text means; a word or a glyph always says it too."""

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
    """Any text, its controlling characters spelled out, on one line."""
    return Content.styled(safe(text), _STYLES[tone])


def sentence_of(error: Exception) -> str:
    """What went wrong, for the operator; the console outlives whatever it runs into."""
    return error.message if isinstance(error, CouponctlError) else f"unexpected: {type(error).__name__}"


def lines(*contents: Content) -> Content:
    return Content("\n").join(contents)


def joined(*parts: Content | str) -> Content:
    """Pieces side by side; a bare string must be the program's own."""
    return Content.assemble(*parts)


def glyph_tone(glyph: str) -> Tone:
    """The tone of the glyphs that stand for states and verdicts everywhere."""
    return {
        "✔": Tone.GOOD,
        "●": Tone.GOOD,
        "✘": Tone.BAD,
        "■": Tone.WARN,
        "?": Tone.WARN,
        "!": Tone.WARN,
    }.get(glyph[:1], Tone.PLAIN)
