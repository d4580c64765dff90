"""Legible text in every theme: a colour that is too close to its background is moved away from it.

Contrast is that of WCAG 2: minimum 4.5 for text, 3 for bars and gauges; frames are decoration. How a terminal
shows the sixteen colours is unknown: xterm's are assumed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as Shade
from textual.filter import LineFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT, DRAWING = 4.5, 3.0

_DRAWN = frozenset(" ━█▓▒░▁▂▃▄▅▆▇")
_FRAMES = frozenset(" ─│╭╮╰╯▏▎▍▌▋▊▉▔▕▐┃")

_STEPS = 20

_DIM = ((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205))
_BRIGHT = ((255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255))
XTERM = tuple(Shade(*rgb) for rgb in (*_DIM, (229,) * 3, (127,) * 3, *_BRIGHT, (255,) * 3))
"""The sixteen colours of xterm."""
_BLACK, _WHITE = XTERM[0], XTERM[15]


@lru_cache(4096)
def wanted_of(text: str) -> float:
    """Return the minimum contrast of the text."""
    held = frozenset(text)
    if held <= _FRAMES:
        return 0.0
    return DRAWING if held <= _DRAWN else TEXT


def seen_as(color: Color | None, default: Shade) -> Shade:
    """Return the colour on the screen; `default` is the terminal's own."""
    if color is None or color.type is ColorType.DEFAULT:
        return default
    if color.type is ColorType.STANDARD and color.number is not None:
        return XTERM[color.number]
    red, green, blue = color.get_truecolor()
    return Shade(red, green, blue)


def contrast(one: Shade, other: Shade) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(shade: Shade) -> float:
    parts = (part / 255 for part in shade.rgb)
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colours_of(style: Style, *, dark: bool) -> tuple[Shade, Shade]:
    """Return text and background as seen on screen; `dark` is whether the terminal's background is dark."""
    own = (XTERM[7], _BLACK) if dark else (_BLACK, _WHITE)
    text, background = seen_as(style.color, own[0]), seen_as(style.bgcolor, own[1])
    return (background, text) if style.reverse else (text, background)


class Legible(LineFilter):
    """Raises the contrast of text and drawings that have too little."""

    def __init__(self, *, dark: bool) -> None:
        super().__init__()
        self._dark = dark

    def apply(self, segments: list[Segment], background: Shade) -> list[Segment]:
        return [
            Segment(text, _legible(style, wanted_of(text), self._dark), control)
            if style is not None and not control
            else Segment(text, style, control)
            for text, style, control in segments
        ]


def _legible(style: Style, wanted: float, dark: bool) -> Style:
    # Without the rest of the style: it holds positions in the text, so no two calls would be alike.
    mended = _mended(style.color, style.bgcolor, bool(style.reverse), wanted, dark)
    return style if mended is None else style + mended


@lru_cache(4096)
def _mended(
    color: Color | None, bgcolor: Color | None, reverse: bool, wanted: float, dark: bool
) -> Style | None:
    """Return colours with enough contrast; None if these have enough or none do."""
    style = Style(color=color, bgcolor=bgcolor, reverse=reverse)
    text, background = colours_of(style, dark=dark)
    if contrast(text, background) >= wanted:
        return None
    enough = (
        better
        for better in _candidates(style, text, background)
        if contrast(*colours_of(better, dark=dark)) >= wanted
    )
    return next(enough, None)


def _candidates(style: Style, text: Shade, background: Shade) -> Iterator[Style]:
    """Yield the same colour brighter, or closer and closer to black or white; nearest first."""
    color = style.bgcolor if style.reverse else style.color
    if color is not None and color.type is ColorType.STANDARD and (color.number or 0) < 8:
        yield _with(style, Color.from_ansi((color.number or 0) + 8))
    if color is None or color.type in {ColorType.STANDARD, ColorType.DEFAULT}:
        yield style + Style(color="default", bgcolor="default")
        yield from (_with(style, Color.from_ansi(number)) for number in (15, 0))
        return
    goal = max((_WHITE, _BLACK), key=lambda end: contrast(end, background))
    for step in range(1, _STEPS + 1):
        yield _with(style, text.blend(goal, step / _STEPS).rich_color)


def _with(style: Style, color: Color) -> Style:
    return style + (Style(bgcolor=color) if style.reverse else Style(color=color))
