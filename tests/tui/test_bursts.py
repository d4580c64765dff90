"""Keys that come all at once, as from a slow line or a paste: each means what it would have meant alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.events import Paste
from textual.widgets import Button, Input

from couponctl.postgres.libpq import server_at
from couponctl.settings import Settings
from couponctl.tui.screens.confirm import Confirm
from couponctl.tui.screens.drill_form import DrillForm
from couponctl.tui.screens.forms import ClaimCoupon, NewCoupon
from tests.support.tui.scenes import coupon, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened


@pytest.fixture
def other_shop(tmp_path: Path) -> Scene:
    """A coupon on a server where every drill is asked about first."""
    server = server_at("postgresql://ops@db.example:5432/shop", source="the test")
    return scene(tmp_path / "runs", coupon("SPRING", 100), settings=Settings(server))


def written(shop: Scene) -> list[tuple[object, ...]]:
    """What was asked of the service that changes something."""
    return [asked for asked in shop.client.asked if asked[0] in {"create", "claim"}]


def typed(console: Console) -> list[str]:
    return [field.value for field in console.app.screen.query(Input)]


async def closed(console: Console) -> None:
    await console.until(lambda: len(console.app.screen_stack) == 1)


async def test_a_claim_is_for_whom_was_typed_before_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down", "c")
        await console.burst(*"amy", "enter", *"x1")
        await console.until(lambda: "amy has claimed SPRING" in console.picture)

        assert written(shop) == [("claim", "SPRING", "amy")]


async def test_an_amount_is_what_was_typed_before_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("n")
        await console.burst(*"NEW", "tab", "5", "enter", "0")
        await closed(console)

        assert written(shop) == [("create", "NEW", 5)]


async def test_a_form_can_be_opened_filled_and_sent_in_one_burst(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.burst("n", *"NEX", "backspace", "W", "tab", *"12", "enter")
        await closed(console)

        assert written(shop) == [("create", "NEW", 12)]


async def test_what_follows_enter_does_not_reach_the_screen_below(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down", "c")
        await console.burst(*"amy", "enter", "c", "q")
        await closed(console)

        assert written(shop) == [("claim", "SPRING", "amy")]
        assert console.app.return_value is None
        await console.press("c")
        assert isinstance(console.app.screen, ClaimCoupon), "keys that are pressed later count again"


async def test_a_refused_form_holds_what_was_typed_before_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("n")
        await console.burst(
            *"SPRING", "tab", "5", "enter", "9", "backspace", "backspace", "backspace", "tab", "x"
        )
        await console.until(lambda: "exists already" in console.picture)
        assert typed(console) == ["SPRING", "5"]

        await console.burst("0", "enter", "7")
        await console.until(lambda: len(written(shop)) == 2)
        assert written(shop)[-1] == ("create", "SPRING", 50)


async def test_a_form_that_waits_takes_nothing(shop: Scene, opened: Opened) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await console.press("n")
        await console.burst(*"SPRING", "tab", "5", "enter")
        await console.press("7", "backspace", "ctrl+u", "tab", "x", "enter", "ctrl+v")
        console.app.post_message(Paste("99"))
        await console.settle()
        assert typed(console) == ["SPRING", "5"]

        shop.client.gate.set()
        await console.until(lambda: "exists already" in console.picture)
        assert typed(console) == ["SPRING", "5"]
        assert written(shop) == [("create", "SPRING", 5)]
        console.app.screen.query(Input).last().focus()
        await console.type("2")
        assert typed(console) == ["SPRING", "2"]


async def test_a_question_is_not_answered_by_keys_that_were_pressed_before_it_came(
    other_shop: Scene, opened: Opened
) -> None:
    async with opened(other_shop) as console:
        await console.press("2")
        await console.burst("r", "y", "enter", "escape")
        assert isinstance(console.app.screen, Confirm)
        assert other_shop.launched == []

        await console.press("y")
        assert len(other_shop.launched) == 1


async def test_keys_after_an_answer_are_nobodys(other_shop: Scene, opened: Opened) -> None:
    async with opened(other_shop) as console:
        await console.press("2", "r")
        await console.burst("y", "x", "y")

        assert len(other_shop.launched) == 1
        assert not other_shop.launched[0].aborted


@pytest.mark.parametrize("button", ["agree", "refuse"])
async def test_a_question_is_answered_once(other_shop: Scene, opened: Opened, button: str) -> None:
    async with opened(other_shop) as console:
        await console.press("2", "r")
        pressed = console.app.screen.query_one(f"#{button}", Button)
        pressed.press()
        pressed.press()
        await console.settle()

        assert len(console.app.screen_stack) == 1
        assert len(other_shop.launched) == (button == "agree")


async def test_a_form_is_sent_and_closed_once(shop: Scene, opened: Opened) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await console.press("n")
        await console.burst(*"NEW", "tab", "5")
        submit, cancel = console.app.screen.query(Button)
        submit.press()
        submit.press()
        await console.settle()
        cancel.press()
        cancel.press()
        await console.settle()
        assert written(shop) == [("create", "NEW", 5)]
        assert len(console.app.screen_stack) == 1


async def test_the_user_that_is_asked_about_is_the_one_before_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down", "enter")
        await console.burst("slash", *"alice", "enter", *"bob")
        await console.until(lambda: any(asked[0] == "find" for asked in shop.client.asked))

        assert [asked for asked in shop.client.asked if asked[0] == "find"] == [("find", "SPRING", "alice")]


async def test_the_filter_ends_at_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.burst("slash", *"summ", "enter", *"zz")
        await console.until(lambda: 'with "summ"' in console.picture)

        assert ("list", "summz", "name", None) not in [asked[:4] for asked in shop.client.asked]


async def test_no_claim_on_a_row_of_the_list_before(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        shop.client.listed = asyncio.Event()
        await console.burst("slash", *"summ", "enter", "c", *"amy", "enter")
        await console.until(lambda: "not there yet" in console.picture)
        assert written(shop) == []
        assert console.app.clipboard == ""
        assert len(console.app.screen_stack) == 1, "what was meant for the form is no command"

        shop.client.listed.set()
        await console.until(lambda: "GONE" not in console.picture)

        await console.press("c")
        await console.type("amy")
        await console.press("enter")
        await console.until(lambda: written(shop) == [("claim", "SUMMER", "amy")])


async def test_a_drill_has_the_numbers_of_its_form_at_enter(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2")
        await console.burst("e", "backspace", "backspace", *"77", "enter", "9", "e")
        await console.settle()
        assert not isinstance(console.app.screen, DrillForm | NewCoupon)
        await console.press("r")

        (launched,) = shop.launched
        assert launched.spec.parameters.n == 77
