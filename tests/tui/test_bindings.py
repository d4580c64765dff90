"""Every key of every mode: none raises, and each that the footer shows does something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets._footer import FooterKey

from tests.tui.test_modal_pictures import MODALS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

MODES = {"1": "coupons", "2": "drills", "3": "pool", "4": "runs"}
LEAVING = {"q", "ctrl+q"}

each_mode = pytest.mark.parametrize("mode", MODES, ids=MODES.get)


@pytest.fixture(autouse=True)
def directory_of_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def back_to(console: Console, mode: str) -> None:
    while len(console.app.screen_stack) > 1:
        await console.pilot.press("escape")
    await console.press("escape", mode)


def facts(console: Console) -> tuple[object, ...]:
    """What a key could change."""
    dependencies = console.scene.dependencies
    return console.picture, dependencies.events.version, len(console.scene.launched), console.app.clipboard


async def walk_keys(console: Console, mode: str, *, own: bool = False) -> None:
    """Press every key, or but those of the mode and of the app."""
    await console.press(mode)
    app, screen = console.app, console.app.screen
    keys = [
        key
        for key, active in screen.active_bindings.items()
        if key not in LEAVING and (not own or active.node in {screen, app})
    ]
    for key in keys:
        await console.pilot.press(key)
        console.app.tick()
        assert console.app.is_running, key
        while len(console.app.screen_stack) > 1:
            await console.pilot.press("escape")
        if console.app.current_mode != MODES[mode]:
            await console.pilot.press(mode)


@each_mode
async def test_no_key_raises_where_there_is_something_to_act_on(
    shop_with_runs: Scene, opened: Opened, mode: str
) -> None:
    async with opened(shop_with_runs) as console:
        await walk_keys(console, mode)


@each_mode
async def test_no_key_raises_where_there_is_nothing_in_little_room(
    empty_shop: Scene, opened: Opened, mode: str
) -> None:
    async with opened(empty_shop, (80, 24)) as console:
        await walk_keys(console, mode, own=True)


@each_mode
async def test_every_key_in_the_footer_does_something(
    shop_with_runs: Scene, opened: Opened, mode: str
) -> None:
    async with opened(shop_with_runs, (80, 24)) as console:
        await console.press(mode)
        for key in [each.key for each in console.app.screen.query(FooterKey)]:
            before = facts(console)
            await console.press(key)
            assert facts(console) != before, key
            await back_to(console, mode)


@each_mode
async def test_the_footer_is_whole_at_eighty_columns(
    shop_with_runs: Scene, opened: Opened, mode: str
) -> None:
    async with opened(shop_with_runs, (80, 24)) as console:
        await console.press(mode)
        keys = list(console.app.screen.query(FooterKey))

        assert len(keys) <= 7, "six, and the palette"
        for key in keys:
            assert f"{key.key_display} {key.description}" in console.lines[-1]


@pytest.mark.parametrize("modal", ["new-coupon", "claimants", "quit", "keys"])
async def test_a_modal_keeps_the_keys_of_the_modes_to_itself(
    shop_with_runs: Scene, opened: Opened, modal: str
) -> None:
    async with opened(shop_with_runs) as console:
        await MODALS[modal](console)
        before = console.app.current_mode, len(console.app.screen_stack)
        await console.press("1", "2", "3", "4", "t")

        assert (console.app.current_mode, len(console.app.screen_stack)) == before


async def test_q_leaves(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.pilot.press("q")
        await console.pilot.pause()

        assert console.app.return_value == 0
        assert console.app.return_code == 0


async def test_enter_opens_what_is_under_the_cursor(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs) as console:
        await console.press("enter")
        assert "ask for a user" in console.picture

        await console.press("escape", "4")
        await console.until(lambda: "stampede" in console.picture)
        await console.press("enter")
        assert "the claims took" in console.picture


async def test_the_keys_of_the_mode_stand_first(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("question_mark")

        picture = console.picture
        assert picture.index("Sort by the next column") < picture.index("Quit") < picture.index("Cursor up")
