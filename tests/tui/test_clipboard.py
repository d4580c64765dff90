"""What is said of a copy: no more than is known, with the text itself to select."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.tui.scenes import coupon, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened


@pytest.fixture(autouse=True)
def nothing_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TMUX", "STY"):
        monkeypatch.delenv(variable, raising=False)


async def copy_a_name(console: Console) -> str:
    await console.press("down", "y")
    return "SPRING"


async def copy_a_command(console: Console) -> str:
    await console.press("v")
    await console.until(lambda: "ledger: balanced" in console.picture)
    await console.press("ctrl+e", "y")
    return "couponctl verify"


WAYS = {"name": copy_a_name, "command": copy_a_command}


def toast_of(console: Console) -> tuple[str, str]:
    *_, toast = console.app._notifications
    return toast.title, str(toast.message)


@pytest.mark.parametrize("way", WAYS)
async def test_it_was_sent_and_here_it_is(shop: Scene, opened: Opened, way: str) -> None:
    async with opened(shop) as console:
        text = await WAYS[way](console)

        assert toast_of(console) == ("Sent to the terminal's clipboard", text)
        assert console.app.clipboard == text
        assert "copied" not in console.picture


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("variable", "hint"), [("TMUX", "set -s set-clipboard on"), ("STY", "screen does not pass it on")]
)
async def test_what_may_be_in_the_way_is_named(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch, way: str, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "/tmp/a.socket,1,0")  # noqa: S108 - nobody opens it
    async with opened(shop) as console:
        text = await WAYS[way](console)

        assert hint in toast_of(console)[1]
        assert toast_of(console)[1].startswith(text)


async def test_a_name_is_shown_spelled_and_sent_as_it_is(tmp_path: Path, opened: Opened) -> None:
    async with opened(scene(tmp_path, coupon("a\x1b[31m\nb"))) as console:
        await console.press("y")

        assert toast_of(console)[1] == r"a\u{1b}[31m\u{a}b"
        assert console.app.clipboard == "a\x1b[31m\nb"
