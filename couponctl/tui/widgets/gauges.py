"""Small drawings made of characters: gauges, bars, a histogram, a line of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.drills.histogram import BUCKETS, bucket_words
from couponctl.models import Outcome, label
from couponctl.tui.text import Tone, joined, lines, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textual.content import Content

    from couponctl.drills.histogram import Histogram


def gauge(value: float, whole: float, width: int) -> tuple[str, str]:
    """Return the full and the empty part of a gauge; only 0 shows as empty, and only the whole as full."""
    if whole <= 0 or value <= 0 or width <= 0:
        return "", "─" * width
    full = min(width, round(width * value / whole))
    if value < whole:
        full = min(full, width - 1)
    full = max(1, full)
    return "━" * full, "─" * (width - full)


def gauge_content(value: float, whole: float, width: int, tone: Tone = Tone.ACCENT) -> Content:
    full, empty = gauge(value, whole, width)
    return joined(literal(full, tone), literal(empty, Tone.DIM))


_MARKS = {
    Outcome.CLAIMED.value: ("█", Tone.GOOD),
    Outcome.SOLD_OUT.value: ("▓", Tone.ACCENT),
    Outcome.ALREADY_CLAIMED.value: ("▒", Tone.WARN),
}
_OTHER = ("░", Tone.BAD)
"""The mark of every other outcome."""


def histogram_content(counts: Mapping[str, Histogram], width: int, height: int) -> Content:
    """Return a bar per latency bucket, with a mark per outcome, and a legend of the marks."""
    totals = [sum(each[bucket] for each in counts.values()) for bucket in range(BUCKETS)]
    if not any(totals):
        return literal("no answers yet", Tone.DIM)
    longest = max(totals)
    room = max(1, width - 18)
    legend = joined(*(_legend(outcome) for outcome in counts))
    bars = [
        joined(
            literal(f"{bucket_words(bucket):>8} "),
            *_bar(counts, bucket, room / longest, room),
            literal(f"{totals[bucket]:>8,}", Tone.DIM if not totals[bucket] else Tone.PLAIN),
        )
        for bucket in _window(totals, max(1, height - 2))
    ]
    return lines(*bars, literal(""), legend)


def _window(totals: Sequence[int], height: int) -> range:
    """Return the buckets with counts and an empty one on either side; the slowest ones if room is short."""
    held = [bucket for bucket, total in enumerate(totals) if total]
    first, last = max(0, held[0] - 1), min(len(totals) - 1, held[-1] + 1)
    return range(max(first, last + 1 - height), last + 1)


def _bar(counts: Mapping[str, Histogram], bucket: int, scale: float, room: int) -> Iterator[Content]:
    left = room
    for outcome, each in counts.items():
        mark, tone = _MARKS.get(outcome, _OTHER)
        length = min(left, max(1, round(each[bucket] * scale))) if each[bucket] else 0
        left -= length
        yield literal(mark * length, tone)
    yield literal(" " * left)


def _legend(outcome: str) -> Content:
    mark, tone = _MARKS.get(outcome, _OTHER)
    return joined(literal(f" {mark}", tone), literal(f" {label(outcome)} "))


def figures_content(figures: Sequence[tuple[str, str, Tone]], width: int) -> Content:
    """Return figures in columns, each above its name."""
    column = max(9, width // max(1, len(figures)))
    shown = figures[: max(1, width // column)]
    values = joined(*(literal(f"{value:^{column}}", _strong(tone)) for value, _, tone in shown))
    names = joined(*(literal(f"{name:^{column}}", Tone.DIM) for _, name, _ in shown))
    return lines(values, names)


def _strong(tone: Tone) -> Tone:
    return tone or Tone.STRONG
