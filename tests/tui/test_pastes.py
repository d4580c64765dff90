"""What is pasted into a line: one line is taken whole, of several none, and that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.events import Paste
from textual.widgets import Input

if TYPE_CHECKING:
    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

WAYS = {
    "filter": ("slash",),
    "new": ("n",),
    "claim": ("c",),
    "claimants": ("down", "enter", "slash"),
    "drill": ("2", "e"),
}


async def pasted(console: Console, text: str) -> str:
    """The line after the paste; it was empty before."""
    focused = console.app.focused
    assert isinstance(focused, Input)
    focused.value = ""
    console.app.post_message(Paste(text))
    await console.settle()
    return focused.value


@pytest.mark.parametrize("way", WAYS)
async def test_of_several_lines_none_is_taken_and_that_is_said(shop: Scene, opened: Opened, way: str) -> None:
    async with opened(shop) as console:
        await console.press(*WAYS[way])

        assert await pasted(console, "alice\nbob\r\ncarol\n") == ""
        assert "3 lines pasted where only one fits: none inserted" in console.picture


@pytest.mark.parametrize("way", WAYS)
async def test_one_line_is_taken_whatever_blank_ones_are_around_it(
    shop: Scene, opened: Opened, way: str
) -> None:
    async with opened(shop) as console:
        await console.press(*WAYS[way])

        assert await pasted(console, "\nal ice \n\n") == "al ice "
        assert await pasted(console, "\n\n") == ""
        assert "pasted" not in console.picture


async def test_a_name_of_production_is_not_pasted_with_more(production_shop: Scene, opened: Opened) -> None:
    async with opened(production_shop) as console:
        await console.press("2", "r")

        assert await pasted(console, "shop\nshop") == ""
        assert "2 lines pasted" in console.picture


async def test_the_consoles_own_clipboard_is_pasted_the_same_way(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("n")
        console.app.copy_to_clipboard("alice\nbob")
        await console.press("ctrl+v")

        assert console.app.screen.query(Input).first().value == ""
        assert "2 lines pasted" in console.picture


async def test_a_paste_replaces_what_is_selected(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down", "c", "shift+tab")
        console.app.post_message(Paste("SUMMER\n"))
        await console.settle()

        assert console.app.screen.query(Input).first().value == "SUMMER"
