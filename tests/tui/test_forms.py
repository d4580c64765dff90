"""Forms: the service's own sentence where it refuses, and nothing that was typed is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click
import pytest
from textual.widgets import Input

from couponctl.cli.drill import command as drill_group
from couponctl.drills.catalog import DRILLS
from couponctl.drills.catalog.sale import SCALE
from couponctl.errors import Unreachable
from couponctl.postgres.limits import DEFAULT_LIMITS
from couponctl.tui.screens.drill_form import Draft, DrillForm
from couponctl.tui.screens.forms import NewCoupon

if TYPE_CHECKING:
    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

FLASH_SALE = DRILLS[0]


def typed(console: Console) -> list[str]:
    return [field.value for field in console.app.screen.query(Input)]


async def new_coupon(console: Console, name: str, amount: str) -> None:
    await console.press("n")
    name_field, amount_field = console.app.screen.query(Input)
    name_field.value, amount_field.value = name, amount
    await console.press("enter")


@pytest.mark.parametrize(
    ("name", "amount", "sentence"),
    [
        ("SPRING", "10", 'A coupon "SPRING" exists already.'),
        ("NEW", "ten", 'amount: "ten" is not a whole number.'),
        ("NEW", "", "amount: is missing."),
        ("NEW", "²", "is not a whole number"),
        ("NEW", "1e3", "is not a whole number"),
    ],
)
async def test_what_was_typed_stays_when_it_is_refused(
    shop: Scene, opened: Opened, name: str, amount: str, sentence: str
) -> None:
    async with opened(shop) as console:
        await new_coupon(console, name, amount)

        assert sentence in console.picture
        assert typed(console) == [name, amount]


async def test_numbers_may_be_typed_as_people_write_them(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await new_coupon(console, "NEW", " 1,000 ")
        await console.until(lambda: len(console.app.screen_stack) == 1)

        assert shop.client.coupons["NEW"].amount == 1000


@pytest.mark.parametrize("failure", [Unreachable("connection refused"), ValueError("secret")], ids=repr)
async def test_a_database_that_fails_leaves_the_form_as_it_was(
    shop: Scene, opened: Opened, failure: Exception
) -> None:
    async with opened(shop) as console:
        shop.client.failure = failure
        await new_coupon(console, "NEW", "5")

        assert "connection refused" in console.picture or "Unexpected: ValueError." in console.picture
        assert "secret" not in console.picture
        assert typed(console) == ["NEW", "5"]
        shop.client.failure = None
        await console.press("enter")
        await console.until(lambda: "NEW" in shop.client.coupons)


async def test_enter_twice_sends_once(shop: Scene, opened: Opened) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await new_coupon(console, "NEW", "5")
        await console.press("enter", "enter")
        shop.client.gate.set()
        await console.until(lambda: len(console.app.screen_stack) == 1)

        assert [asked for asked in shop.client.asked if asked[0] == "create"] == [("create", "NEW", 5)]
        assert "exists" not in console.picture


async def test_a_form_that_is_closed_while_it_waits_still_tells_how_it_ended(
    shop: Scene, opened: Opened
) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await new_coupon(console, "NEW", "5")
        await console.press("escape")
        assert len(console.app.screen_stack) == 1

        shop.client.gate.set()
        await console.until(lambda: "NEW: 5 units on sale" in console.picture)


async def test_a_refusal_after_the_form_was_closed_is_told_too(shop: Scene, opened: Opened) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await new_coupon(console, "SPRING", "5")
        await console.press("escape")
        shop.client.gate.set()
        await console.until(lambda: "New coupon: A coupon" in console.picture)


async def test_a_form_that_ends_below_the_palette_closes_itself_and_not_the_palette(
    shop: Scene, opened: Opened
) -> None:
    shop.client.gate = asyncio.Event()
    async with opened(shop) as console:
        await new_coupon(console, "NEW", "5")
        await console.press("ctrl+p")
        shop.client.gate.set()
        await console.until(lambda: "NEW" in shop.client.coupons)
        await console.settle()
        assert console.app.screen is not console.app.screen_stack[0]
        assert not isinstance(console.app.screen, NewCoupon)

        await console.press("escape")
        await console.until(lambda: len(console.app.screen_stack) == 1)


async def test_a_claim_that_is_refused_can_be_made_for_another(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down")
        for _ in range(2):
            await console.press("c")
            await console.type("alice")
            await console.press("enter")
        assert '"alice" has claimed "SPRING" already.' in console.picture

        await console.press(*["backspace"] * len("alice"))
        await console.type("bob")
        await console.press("enter")
        await console.until(lambda: "bob has claimed SPRING" in console.picture)
        assert "$ couponctl claim SPRING bob" in console.picture


async def drill_form(console: Console, **given: str) -> None:
    await console.press("2", "e")
    for name, value in given.items():
        console.app.screen.query_one(f"#field-{name}", Input).value = value
    await console.press("ctrl+r")


async def test_enter_and_enter_again_start_no_drill(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "enter")
        assert isinstance(console.app.screen, DrillForm)
        console.app.screen.query_one("#field-n", Input).value = "77"
        await console.press("enter")

        assert shop.launched == []
        assert len(console.app.screen_stack) == 1
        assert "r runs it, as does: couponctl drill flash-sale --n 77" in console.flowing
        await console.press("r")
        assert shop.launched[0].spec == FLASH_SALE.spec(shop.dependencies.settings.limits, {"n": 77})


async def test_a_click_on_a_drill_starts_none(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2")
        await console.click("double-dip")
        await console.settle()

        assert shop.launched == []


@pytest.mark.parametrize("way", ["ctrl+r", "button"])
async def test_a_form_with_a_bad_number_does_not_run_at_the_next_enter(
    shop: Scene, opened: Opened, way: str
) -> None:
    async with opened(shop) as console:
        await console.press("2", "e")
        box = console.app.screen.query_one("#field-n", Input)
        box.value = "none"
        if way == "button":
            await console.click("Run (^r)")
        else:
            await console.press("ctrl+r")
        assert "is not a whole number" in console.picture
        box.value = "77"
        box.focus()
        await console.press("enter")

        assert shop.launched == []


async def test_a_drill_runs_with_its_defaults_unless_told_otherwise(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await drill_form(console)

        (launched,) = shop.launched
        assert launched.spec == FLASH_SALE.spec(shop.dependencies.settings.limits)
        await console.until(lambda: "$ couponctl drill flash-sale" in console.picture)


NEVER = ("1e9", "nan", "inf", "²", "-1", "0", "100001", "ten", "9" * 30)


@pytest.mark.parametrize(("field", "bad"), [("n", (*NEVER, "5.5")), ("timeout", (*NEVER, "0.05"))])
async def test_a_bad_number_runs_nothing(
    shop: Scene, opened: Opened, field: str, bad: tuple[str, ...]
) -> None:
    async with opened(shop) as console:
        await console.press("2", "e")
        box = console.app.screen.query_one(f"#field-{field}", Input)
        for number in bad:
            box.value = number
            await console.press("ctrl+r")
            assert shop.launched == [], number
            assert f" {field}: " in console.picture
            assert box.value == number

        box.value = "7"
        await console.press("ctrl+r")
        assert getattr(shop.launched[-1].spec.parameters, field) == 7


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"strategy": "magic"}, 'strategy: there is no strategy "magic".'),
        ({"seed": "-1"}, "seed: is less than 0."),
        ({"seed": "x"}, "seed: "),
    ],
)
async def test_other_bad_values_run_nothing(
    shop: Scene, opened: Opened, given: dict[str, str], sentence: str
) -> None:
    async with opened(shop) as console:
        await drill_form(console, **given)

        assert shop.launched == []
        assert sentence in console.picture


async def test_an_edited_drill_is_remembered(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await drill_form(console, n="77", strategy="transaction", seed="5")
        shop.launched[-1].end(failure="aborted")
        await console.settle()
        await console.press("e")

        assert typed(console)[:2] == ["77", "5"]
        assert typed(console)[-2:] == ["transaction", "5"]
        commands = [event.command for event in shop.dependencies.events.events]
        assert "couponctl drill flash-sale --n 77 --strategy transaction --seed 5" in commands


async def test_f_brings_a_coupons_stock_to_the_drill(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("f")
        await console.until(lambda: isinstance(console.app.screen, DrillForm))
        assert typed(console)[:2] == ["50", "5"]

        await console.press("escape", "1", "down", "down", "f")
        await console.until(lambda: isinstance(console.app.screen, DrillForm))
        assert typed(console)[:2] == ["1000", "100"], "a rehearsal needs no more"


def parsed(words: tuple[str, ...]) -> dict[str, Any]:
    """What the command line makes of a drill's command."""
    group, name, *arguments = words
    assert group == "drill"
    made = drill_group.commands[name]
    return made.make_context(name, list(arguments), parent=click.Context(drill_group)).params


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_the_command_line_of_a_draft_means_the_same(drill: Any) -> None:
    described = drill.parameters.described()
    chosen = {p.name: p.at_most / 3 if p.kind is float else int(p.at_least) + 1 for p in described}
    draft = Draft(drill, chosen, "transaction", 7)
    given = parsed(draft.command)

    assert (given["strategy"], given["seed"]) == ("transaction", 7)
    wanted = {name: value for name, value in given.items() if name in chosen and value is not None}
    assert drill.spec(DEFAULT_LIMITS, wanted).parameters == draft.spec(DEFAULT_LIMITS).parameters


def test_what_follows_from_other_parameters_goes_on_following() -> None:
    draft = Draft(SCALE, {"n": 500})

    assert draft.spec(DEFAULT_LIMITS) == SCALE.spec(DEFAULT_LIMITS, {"n": 500, "stock": 50})
    assert draft.command == ("drill", "scale", "--n", "500")


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_a_draft_of_defaults_is_a_bare_command(drill: Any) -> None:
    assert Draft(drill).command == ("drill", drill.name)
