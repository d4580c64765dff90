"""The signs that couponctl shows, on the command line, in reports and in the console."""

from __future__ import annotations

from enum import StrEnum


class Glyph(StrEnum):
    """How something is or ended; a word beside it always says it too."""

    tone: str
    """What it means: `good`, `warn` or `bad`; empty where it is none of them."""

    PASSED = "✔", "good"
    FAILED = "✘", "bad"
    WARNING = "!", "warn"
    """Also beside a PASS whose service levels were not all met."""
    UNDECIDED = "?", "warn"
    SKIPPED = "-"
    PENDING = "◌"
    RUNNING = "▶"
    ON = "●", "good"
    """A coupon is live, a database answers, a run is marked."""
    OFF = "■", "warn"
    """A coupon is sold out, a database is silent."""

    def __new__(cls, sign: str, tone: str = "") -> Glyph:
        glyph = str.__new__(cls, sign)
        glyph._value_ = sign
        glyph.tone = tone
        return glyph
