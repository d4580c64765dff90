"""Names in scripts whose characters do not take a cell each: rows stay in line, and no name is torn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from wcwidth import iter_graphemes

from couponctl.models import Backend, Claim
from couponctl.present import safe
from tests.support.scripts import SCRIPTS
from tests.support.tui.scenes import NOON, activity, coupon, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

NAMES = [*SCRIPTS.values(), *(name * 9 for name in SCRIPTS.values())]
"""Short ones, and ones that are cut."""


@pytest.fixture
def shop_of_scripts(tmp_path: Path) -> Scene:
    """A coupon of every name, with users of all names."""
    shop = scene(tmp_path / "runs", *(coupon(name, 100, 80) for name in NAMES))
    for name in NAMES:
        shop.client.claims[name] = {user: Claim(user, NOON) for user in NAMES}
    shop.server.activity = activity(
        *(Backend(n, name, name, name, name, 1.0, name * 20, (4711,)) for n, name in enumerate(NAMES, 1)),
    )
    return shop


def rows(console: Console, what: str) -> list[str]:
    return [line for line in console.lines if what in line]


def assert_in_line(console: Console) -> None:
    """Every line is as wide as the screen, however its pieces are measured: together or one by one."""
    for strip in console.app.screen._compositor.render_strips():
        line = "".join(segment.text for segment in strip)
        assert cell_len(line) == sum(segment.cell_length for segment in strip) == 80, line


async def test_the_columns_behind_a_name_begin_in_one_place(shop_of_scripts: Scene, opened: Opened) -> None:
    async with opened(shop_of_scripts, (80, 60)) as console:
        assert_in_line(console)
        shown = rows(console, "● live")[: len(NAMES)]

        assert len(shown) == len(NAMES)
        assert {cell_len(line.partition("● live")[0]) for line in shown} == {cell_len(shown[0].split("●")[0])}


async def test_no_name_is_torn_apart(shop_of_scripts: Scene, opened: Opened) -> None:
    async with opened(shop_of_scripts, (80, 60)) as console:
        shown = [line.partition("● live")[0].strip("│ ▌") for line in rows(console, "● live")]
        cut = [name.removesuffix("…") for name in shown if name.endswith("…")]

        assert len(cut) >= len(SCRIPTS) // 2
        for name in cut:
            whole = next(list(iter_graphemes(safe(each))) for each in NAMES if safe(each).startswith(name))
            assert list(iter_graphemes(name)) == whole[: len(list(iter_graphemes(name)))]


@pytest.mark.parametrize("keys", [("enter",), ("3",), ("ctrl+e",), ("c",)])
async def test_every_screen_with_such_names_is_in_line(
    shop_of_scripts: Scene, opened: Opened, keys: tuple[str, ...]
) -> None:
    async with opened(shop_of_scripts, (80, 24)) as console:
        for name in SCRIPTS.values():
            shop_of_scripts.dependencies.events.add(name, command=("show", name))
            console.app.say(name)
        await console.press(*keys)
        await console.settle()

        assert_in_line(console)
