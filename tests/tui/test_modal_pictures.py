"""What lies over the modes, as pictures; look at them when they change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from couponctl.models import Claim
from tests.support.tui.scenes import NOON

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

Doing = Callable[["Console"], Awaitable[None]]


async def claim_of_a_sold_out_coupon(console: Console) -> None:
    await console.press("c")
    await console.type("alice")
    await console.press("enter")
    await console.until(lambda: "is sold out" in console.picture)


async def drill_form_with_a_bad_number(console: Console) -> None:
    await console.press("2", "e")
    await console.type("1e9")
    await console.press("enter")


async def leaving_while_a_drill_runs(console: Console) -> None:
    await console.press("2", "r", "q")


async def some_events(console: Console) -> None:
    await claim_of_a_sold_out_coupon(console)
    await console.press("escape", "v")
    await console.until(lambda: "ledger" in console.picture)
    await console.press("ctrl+e")


async def claimants(console: Console) -> None:
    users = [f"user-{number:03}" for number in range(520)]
    console.scene.client.claims["SUMMER"] = {user: Claim(user, NOON) for user in users}
    await console.press("down", "down", "enter", "slash")
    await console.type("user-007")
    await console.press("enter")
    await console.until(lambda: "claimed SUMMER at" in console.picture)


async def comparison(console: Console) -> None:
    await console.press("4")
    await console.until(lambda: "stampede" in console.picture)
    await console.press("m", "down", "d")


async def kept_run(console: Console) -> None:
    await console.press("4")
    await console.until(lambda: "stampede" in console.picture)
    await console.press("down", "enter")


MODALS: dict[str, Doing] = {
    "new-coupon": lambda console: console.press("n"),
    "claim-refused": claim_of_a_sold_out_coupon,
    "drill-form": lambda console: console.press("2", "e"),
    "drill-form-refused": drill_form_with_a_bad_number,
    "quit": leaving_while_a_drill_runs,
    "keys": lambda console: console.press("question_mark"),
    "events": some_events,
    "claimants": claimants,
    "comparison": comparison,
    "kept-run": kept_run,
}


@pytest.mark.parametrize("modal", MODALS)
async def test_the_modal_looks_as_it_did(
    shop_with_runs: Scene, opened: Opened, golden: SnapshotAssertion, modal: str
) -> None:
    async with opened(shop_with_runs) as console:
        await MODALS[modal](console)

        await console.assert_looks_as(golden)


async def test_the_question_that_wants_a_name_looks_as_it_did(
    production_shop: Scene, opened: Opened, golden: SnapshotAssertion
) -> None:
    async with opened(production_shop) as console:
        await console.press("2", "r")

        await console.assert_looks_as(golden)


async def test_a_refusal_looks_as_it_did(
    read_only_shop: Scene, opened: Opened, golden: SnapshotAssertion
) -> None:
    async with opened(read_only_shop) as console:
        await console.press("2", "r")

        await console.assert_looks_as(golden)
