"""What can be read: every text of every picture in every theme, as it is rendered.

Contrast as WCAG 2 has it. The sixteen colours are those of xterm, on black or on white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.tui.theme import FEW_COLORS, THEMES
from tests.support.tui.scenes import coupon, scene
from tests.tui.test_modal_pictures import MODALS
from tests.tui.test_mode_pictures import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.color import Color
    from rich.segment import Segment
    from rich.style import Style

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

SEEN = 1.15
"""Least contrast between the backgrounds of a row and of the one under the cursor."""

RGB = tuple[int, ...]

_DIM = ["000000", "cd0000", "00cd00", "cdcd00", "0000ee", "cd00cd", "00cdcd", "e5e5e5"]
_BRIGHT = ["7f7f7f", "ff0000", "00ff00", "ffff00", "5c5cff", "ff00ff", "00ffff", "ffffff"]
XTERM: list[RGB] = [(n >> 16, n >> 8 & 255, n & 255) for n in (int(each, 16) for each in _DIM + _BRIGHT)]
FRAMES = set("─│╭╮╰╯▏▎▍▌▋▊▉▔▕▐┃")
BARS = set("━█▓▒░▁▂▃▄▅▆▇")


def luminance(rgb: RGB) -> float:
    red, green, blue = (
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in (part / 255 for part in rgb)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RGB, other: RGB) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def rgb_of(color: Color | None, default: RGB) -> RGB:
    if color is None or color.is_default:
        return default
    if color.number is not None and color.number < 16:
        return XTERM[color.number]
    return tuple(color.get_truecolor())


def colours_of(style: Style, *, dark: bool) -> tuple[RGB, RGB]:
    """Text and background, as they are seen."""
    text = rgb_of(style.color, XTERM[7] if dark else XTERM[0])
    background = rgb_of(style.bgcolor, XTERM[0] if dark else XTERM[15])
    return (background, text) if style.reverse else (text, background)


def segments(console: Console) -> Iterator[Segment]:
    for strip in console.app.screen._compositor.render_strips():
        yield from strip


def unreadable(console: Console) -> dict[str, float]:
    """Texts with less contrast than 4.5, bars with less than 3."""
    found = {}
    for text, style, _ in segments(console):
        held = set(text) - {" "} - FRAMES
        if style is None or not held:
            continue
        ratio = contrast(*colours_of(style, dark=console.app.current_theme.dark))
        if ratio < (3.0 if held <= BARS else 4.5):
            found[text.strip()] = round(ratio, 2)
    return found


async def in_theme(console: Console, theme: str) -> None:
    console.app.theme = theme
    await console.pilot.pause(0)
    console.app.tick()
    await console.pilot.pause(0)


async def every_toast(console: Console) -> None:
    for severity in ("information", "warning", "error"):
        console.app.say(f"a toast of {severity}", severity=severity)
    console.app.notify("with a title", title="Title", markup=False)
    await console.settle()


async def palette(console: Console) -> None:
    await console.press("ctrl+p")
    await console.type("drill")


SCENES = {
    **{name: STATES[name] for name in STATES if name != "runs-out-of-reach"},
    **MODALS,
    "toasts": every_toast,
    "palette": palette,
}


OURS = [*(theme.name for theme in THEMES), FEW_COLORS, "ansi-light"]
EVERY_TONE = {"coupons-stale", "drill-form-refused", "palette", "toasts"}
"""Scenes that have every tone and every kind of widget between them: seen in the themes of others, too."""


@pytest.mark.parametrize("name", SCENES)
async def test_every_text_can_be_read_in_every_theme(
    shop_with_runs: Scene, opened: Opened, name: str
) -> None:
    async with opened(shop_with_runs) as console:
        await SCENES[name](console)
        poor = {}
        for theme in console.app.available_themes if name in EVERY_TONE else OURS:
            await in_theme(console, theme)
            poor[theme] = unreadable(console)

    assert {theme: texts for theme, texts in poor.items() if texts} == {}


def styles_of(console: Console, *names: str) -> list[Style]:
    """How names look that are a text of their own."""
    found = {text.strip(): style for text, style, _ in segments(console) if style and text.strip() in names}
    return [found[name] for name in names]


def difference(console: Console, one: str, other: str) -> float:
    """The contrast between the backgrounds of two names."""
    dark = console.app.current_theme.dark
    here, there = (colours_of(style, dark=dark)[1] for style in styles_of(console, one, other))
    return contrast(here, there)


async def test_the_cursor_is_seen_in_every_theme(tmp_path: Path, opened: Opened) -> None:
    async with opened(scene(tmp_path, coupon("HERE"), coupon("THERE"))) as console:
        for theme in console.app.available_themes:
            await in_theme(console, theme)
            assert difference(console, "HERE", "THERE") >= SEEN, theme
            here, there = styles_of(console, "HERE", "THERE")
            assert (here.reverse or False, there.reverse or False) == (console.app.current_theme.ansi, False)


@pytest.mark.parametrize("theme", [FEW_COLORS, "nord", "couponctl-light"])
async def test_without_colours_cursor_and_focus_are_seen(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch, theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(shop) as console:
        await in_theme(console, theme)
        here, there = styles_of(console, "GONE", "SPRING")
        assert here.reverse
        assert not there.reverse

        await console.press("2")
        highlighted = [text for text, style, _ in segments(console) if style and style.reverse]
        assert any("flash-sale" in text for text in highlighted)
        assert not any("double-dip" in text for text in highlighted)

        await console.press("e")
        focused = console.app.focused
        assert focused is not None
        line = list(console.app.screen._compositor.render_strips()[focused.region.y])
        assert "50" in [text for text, style, _ in line if style and style.reverse and style.underline]
        await console.press("shift+tab")
        buttons = [text.strip() for text, style, _ in segments(console) if style and style.reverse]
        assert "Cancel" in buttons


async def test_what_is_highlighted_in_a_list_is_seen_in_every_theme(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2")
        for theme in console.app.available_themes:
            await in_theme(console, theme)
            assert difference(console, "flash-sale", "double-dip") >= SEEN, theme
