"""Every terminal from too small to vast, every theme, and none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.text import Text

from couponctl.tui.app import CouponApp
from couponctl.tui.theme import FEW_COLORS, THEMES, first_theme
from couponctl.tui.widgets.live_table import LiveTable
from tests.tui.test_mode_pictures import pool_in_trouble

if TYPE_CHECKING:
    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

TOO_SMALL = "terminal too small"


def table_of(console: Console) -> LiveTable:
    return console.app.screen_stack[0].query_one(LiveTable)


@pytest.mark.parametrize("size", [(59, 24), (80, 15), (59, 15), (20, 5)], ids=str)
async def test_a_terminal_that_is_too_small_hears_so_until_it_grows(
    shop: Scene, opened: Opened, size: tuple[int, int]
) -> None:
    async with opened(shop, size) as console:
        assert TOO_SMALL[: size[0]] in console.picture
        assert "SPRING" not in console.picture

        await console.resize(60, 16)
        assert TOO_SMALL not in console.picture
        assert "SPRING" in console.picture


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (100, 30), (120, 36), (200, 60)], ids=str)
async def test_every_mode_fills_the_terminal_exactly(
    shop_with_runs: Scene, opened: Opened, size: tuple[int, int]
) -> None:
    async with opened(shop_with_runs, size) as console:
        await pool_in_trouble(console)
        for mode in "1234":
            await console.press(mode)
            assert {cell_len(line) for line in console.lines} == {size[0]}
            assert len(console.lines) == size[1]
            assert TOO_SMALL not in console.picture
            for number, name in enumerate(("Coupons", "Drills", "Pool", "Runs"), start=1):
                assert f" {number} {name} " in console.lines[0]


async def test_growing_and_shrinking_keep_rows_and_cursor(shop: Scene, opened: Opened) -> None:
    async with opened(shop, (200, 60)) as console:
        await console.press("down", "down")
        for size in ((80, 24), (59, 15), (60, 16), (120, 36), (200, 60)):
            await console.resize(*size)
            assert table_of(console).selected == "SUMMER"
            assert table_of(console).row_count == 3
        for name in ("GONE", "SPRING", "SUMMER"):
            assert name in console.picture


async def test_every_theme_suits_every_mode(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs, (80, 24)) as console:
        await pool_in_trouble(console)
        for mode in "1234":
            await console.press(mode)
            for theme in console.app.available_themes:
                console.app.theme = theme
                await console.pilot.pause(0)
                console.app.tick()
            await console.settle()
            assert console.app.is_running
        assert {theme.name for theme in THEMES} <= set(console.app.available_themes)


async def test_another_theme_recolours_what_is_in_the_table(shop: Scene, opened: Opened) -> None:
    def colour_of_sold_out() -> str:
        state = table_of(console).get_cell("0", "State")
        assert isinstance(state, Text)
        return str(state.spans[0].style)

    async with opened(shop) as console:
        dark = colour_of_sold_out()
        await console.press("down")
        console.app.theme = "couponctl-light"
        await console.settle()

        assert colour_of_sold_out() != dark
        assert table_of(console).selected == "SPRING"


@pytest.mark.parametrize(
    ("colors", "no_color", "wished", "expected"),
    [
        ("truecolor", False, "", "couponctl"),
        ("256", False, "", "couponctl"),
        ("truecolor", False, "nord", "nord"),
        ("standard", False, "", FEW_COLORS),
        ("standard", False, "nord", FEW_COLORS),
        ("truecolor", True, "nord", FEW_COLORS),
        (None, False, "", FEW_COLORS),
    ],
)
def test_the_first_theme_is_what_the_terminal_can_show(
    colors: str | None, no_color: bool, wished: str, expected: str
) -> None:
    assert first_theme(colors, no_color=no_color, wished=wished) == expected


@pytest.mark.parametrize(
    ("variable", "value", "theme"),
    [
        ("NO_COLOR", "1", FEW_COLORS),
        ("TERM", "xterm", FEW_COLORS),
        ("TEXTUAL_THEME", "nord", "nord"),
        ("TEXTUAL_THEME", "no-such-theme, dracula", "dracula"),
        ("TEXTUAL_THEME", "no-such-theme", "couponctl"),
    ],
)
def test_the_environment_has_a_say_in_the_theme(
    shop: Scene, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, theme: str
) -> None:
    if variable == "TERM":
        monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv(variable, value)

    assert CouponApp(shop.dependencies).theme == theme


async def test_without_colours_every_state_is_still_told(
    shop_with_runs: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(shop_with_runs) as console:
        assert "■ sold out" in console.picture
        assert "● live" in console.picture
        await console.press("4")
        await console.until(lambda: "✘ FAIL" in console.picture and "✔ PASS" in console.picture)
