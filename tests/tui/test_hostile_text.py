"""Text that attacks the terminal, or the console: on every screen it is text, spelled out, in its place."""

from __future__ import annotations

import unicodedata
from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from textual.widgets import Input

from couponctl.drills.check import equals
from couponctl.errors import Unreachable
from couponctl.models import Backend, Claim
from couponctl.present import safe
from tests.cli.test_hostile_text import HOSTILE as HOSTILE_TO_TERMINALS
from tests.support.tui.saved import keep, kept
from tests.support.tui.scenes import NOON, activity, coupon, scene, view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

BOMB = "[@click=app.quit]x[/]"
LONG = "L" * 255
HOSTILE = HOSTILE_TO_TERMINALS | {
    "action": BOMB,
    "unbalanced markup": "A[/]B",
    "family": "a👩\u200d👩\u200d👧b",
    "combining mark": "\u0301alone",
    "variable": "$accent",
    "long": LONG,
}
TEXTS = tuple(HOSTILE.values())
WORST = (BOMB, "A[/]B", LONG, *(HOSTILE[key] for key in ("clipboard (OSC 52)", "right to left", "family")))
"""For what is shown one at a time."""
ROOMY = (200, 60)
"""Each text has room."""


def shown(text: str) -> str:
    """How a text stands on a screen, as far as it has room in any column."""
    return safe(text)[:20]


def assert_harmless(console: Console) -> None:
    """No character controls the terminal or is invisible, and every line is as wide as the screen."""
    for line in console.lines:
        assert not [c for c in line if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp", "Co", "Cs"}], line
        assert cell_len(line) == console.app.size.width, line


def assert_shows_all(console: Console, texts: tuple[str, ...] = TEXTS) -> None:
    picture = console.picture
    assert [text for text in texts if shown(text) not in picture] == []
    assert_harmless(console)


@pytest.fixture
def hostile_shop(tmp_path: Path) -> Scene:
    """A coupon of every hostile name, claimed by every hostile user, beside one of an ordinary name."""
    shop = scene(tmp_path / "runs", coupon("SPRING"), *(coupon(text, 100, 80) for text in TEXTS))
    for text in TEXTS:
        shop.client.claims[text] = {user: Claim(user, NOON) for user in TEXTS}
    return shop


async def select(console: Console, name: str) -> None:
    position = sorted(console.scene.client.coupons).index(name)
    await console.press("home", "ctrl+home", *["down"] * position)


@pytest.mark.parametrize("size", [ROOMY, (120, 36), (80, 24)], ids=str)
async def test_names_in_the_table(hostile_shop: Scene, opened: Opened, size: tuple[int, int]) -> None:
    async with opened(hostile_shop, size) as console:
        if size == ROOMY:
            assert_shows_all(console)
        assert_harmless(console)


async def test_names_and_users_in_all_that_concerns_a_coupon(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, (200, 90)) as console:
        for text in WORST:
            await select(console, text)
            await console.press("enter")
            await console.until(lambda: "users here" in console.picture)
            assert_shows_all(console)
            await console.press("escape")
        assert_shows_all(console, WORST[-3:])  # the events


async def test_names_and_users_in_the_claim_form_and_its_refusal(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        for text in WORST:
            await console.press("c")
            coupon_field, user = console.app.screen.query(Input)
            coupon_field.value, user.value = f"no {text}", text
            assert_harmless(console)
            await console.press("enter")
            await console.until(lambda: "There is no coupon" in console.picture)
            assert_harmless(console)
            assert safe(text)[:15] in console.picture
            await console.press("escape")


async def test_a_name_in_the_filter(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        for text in WORST:
            await console.press("slash")
            console.app.screen.query_one("#filter", Input).value = text
            await console.until(lambda: "1 coupon " in console.picture)
            assert f'with "{shown(text)}' in console.picture
            assert_harmless(console)
            await console.press("escape")


async def test_the_sentence_of_an_error(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        for text in WORST:
            hostile_shop.client.failure = Unreachable(text)
            await console.read_again()
            await console.press("v")
            assert shown(text) in console.picture
            assert_harmless(console)


async def test_toasts(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, (200, 120)) as console:
        for text in TEXTS:
            console.app.say(text)
        await console.settle()
        assert_shows_all(console)


async def test_what_backends_call_themselves_and_do(shop: Scene, opened: Opened) -> None:
    shop.server.activity = activity(
        *(Backend(n, text, text, text, text, 1.0, text, (4711,)) for n, text in enumerate(TEXTS, start=1)),
    )
    async with opened(shop, (250, 90)) as console:
        await console.press("3")
        await console.until(lambda: "20 backends" in console.picture)
        assert_shows_all(console)
        for line in console.lines:
            if "4711" not in line and "A[/]B" in line:
                assert line.count("A[/]B") == 5, "application, user, state, wait and query"


async def test_a_running_drill_and_its_failure(shop: Scene, opened: Opened) -> None:
    async with opened(shop, (200, 90)) as console:
        await console.press("2", "r")
        for text in WORST:
            drill = console.scene.launched[-1]
            drill.shown = view(stage=text, checks=tuple(equals(each, each, 1, each) for each in TEXTS))
            await console.settle()
            assert f"{shown(text)}" in console.picture
            assert_harmless(console)
            drill.end(failure=text)
            await console.settle()
            assert f"? {shown(text)}" in console.picture
            assert f"flash-sale: {shown(text)}" in console.picture
            assert_harmless(console)
            await console.press("r")


async def test_kept_runs(shop: Scene, opened: Opened) -> None:
    checks = tuple(equals(text, text, 1, text) for text in TEXTS)
    for number, text in enumerate(WORST):
        facts = {"strategy": text, "server": {"where": text, "version": text}, "parameters": {text: 1.0}}
        keep(shop, kept(f"{number:08x}", minutes_ago=number, made_by=text, checks=checks, **facts))
    async with opened(shop, (200, 90)) as console:
        await console.press("4")
        await console.until(lambda: f"{len(WORST)} runs" in console.picture)
        for text in WORST:
            assert f"strategy {shown(text)}" in console.picture
            assert_harmless(console)
            await console.press("enter")
            assert_shows_all(console)
            await console.press("escape", "down")
        await console.press("m", "up", "d")
        assert_shows_all(console)


async def test_command_lines_in_the_event_log(hostile_shop: Scene, opened: Opened) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        for text in TEXTS:
            hostile_shop.dependencies.events.add(text, command=("show", text))
        await console.press("ctrl+e")
        assert_shows_all(console)


async def test_the_palette_finds_every_coupon_whatever_others_are_called(
    hostile_shop: Scene, opened: Opened
) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        for text in (BOMB, "A[/]B", "$accent", "SPRING"):
            await console.pilot.press("ctrl+p")
            console.app.screen.query_one(Input).value = text
            await console.until(partial(console.shows, f"claim {text}"))
            assert_harmless(console)
            await console.press("escape")


@pytest.mark.parametrize("where", ["table", "claimants", "event"])
async def test_an_action_in_a_name_does_not_run_when_it_is_clicked(
    hostile_shop: Scene, opened: Opened, where: str
) -> None:
    async with opened(hostile_shop, ROOMY) as console:
        match where:
            case "claimants":
                await select(console, BOMB)
                await console.press("enter")
            case "event":
                hostile_shop.dependencies.events.add(f"about {BOMB}", command=("show", BOMB))
                hostile_shop.client.coupons.pop(BOMB)
                await console.read_again()
        await console.click(BOMB)
        await console.click(BOMB)

        assert console.app.return_value is None
        assert console.app.is_running
