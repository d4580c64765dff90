"""Mode 1: the table of coupons, live, filtered, sorted and in pages."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from couponctl.errors import Unreachable
from couponctl.models import Audit, Coupon, Finding, FindingKind, Hidden
from couponctl.tui.widgets.live_table import LiveTable
from tests.support.tui.scenes import NOON, coupon, scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened


def table_of(console: Console) -> LiveTable:
    return console.app.screen_stack[0].query_one("#coupon-table", LiveTable)


def names_in(console: Console) -> list[str]:
    """The first column, as far as it is on the screen."""
    table = table_of(console)
    return [str(table.get_cell(str(row), "Name")) for row in range(table.row_count)]


def sell(shop: Scene, name: str, left: int) -> None:
    was = shop.client.coupons[name]
    shop.client.coupons[name] = Coupon(name, was.amount, left, NOON)


@pytest.fixture
def vast_shop(tmp_path: Path) -> Scene:
    """1,200 coupons."""
    return scene(tmp_path / "runs", *(coupon(f"C{number:04}") for number in range(1200)))


async def test_a_coupon_is_created_from_the_form_and_stands_in_the_table(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("n")
        await console.type("WINTER")
        await console.press("tab")
        await console.type("250")
        await console.press("enter")
        await console.until(lambda: "WINTER" in console.picture)

        assert "250" in console.picture
        assert "$ couponctl create WINTER 250" in console.picture


async def test_the_filter_is_asked_of_the_server_and_escape_clears_it(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("slash")
        await console.type("sum")
        await console.until(lambda: names_in(console) == ["SUMMER"])
        assert any(asked[:2] == ("list", "sum") for asked in shop.client.asked)
        assert 'with "sum"' in console.picture

        await console.press("escape")
        await console.until(lambda: len(names_in(console)) == 3)
        assert 'with "' not in console.picture


async def test_keys_work_on_what_the_filter_has_left(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("slash")
        await console.type("sum")
        await console.press("enter")
        await console.until(lambda: names_in(console) == ["SUMMER"])
        await console.press("c")
        await console.type("alice")
        await console.press("enter")
        await console.until(lambda: "alice has claimed SUMMER" in console.picture)


async def test_a_filter_that_nothing_matches_says_how_to_leave_it(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("slash")
        await console.type("zz")
        await console.until(lambda: 'no coupon has "zz" in its name: press escape' in console.picture)


async def test_sorting_goes_round_all_orders(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        seen = [names_in(console)]
        for order in ("remaining", "claimed", "amount", "created"):
            await console.press("s")
            await console.until(partial(console.shows, f"by {order}"))
            seen.append(names_in(console))
        await console.press("s")
        await console.until(lambda: " by " not in console.lines[1])

        assert seen[1] == ["GONE", "SPRING", "SUMMER"]
        assert seen[2] == ["SUMMER", "GONE", "SPRING"]
        assert seen[3] == ["SUMMER", "SPRING", "GONE"]
        assert names_in(console) == seen[0] == ["GONE", "SPRING", "SUMMER"]


async def test_pages_of_five_hundred_there_and_back(vast_shop: Scene, opened: Opened) -> None:
    async with opened(vast_shop) as console:
        assert "1-500, more: >" in console.picture

        await console.press("greater_than_sign")
        await console.until(lambda: names_in(console)[0] == "C0500")
        await console.press("greater_than_sign")
        await console.until(lambda: names_in(console) == [f"C{number:04}" for number in range(1000, 1200)])
        assert "1,001-1,200, the last" in console.picture
        await console.press("greater_than_sign")
        assert "1,001-1,200, the last" in console.picture

        await console.press("less_than_sign")
        await console.until(lambda: names_in(console)[0] == "C0500")
        await console.press("less_than_sign", "less_than_sign")
        await console.until(lambda: names_in(console)[0] == "C0000")


async def test_a_page_whose_start_has_vanished_gives_way_to_the_first(
    vast_shop: Scene, opened: Opened
) -> None:
    async with opened(vast_shop) as console:
        await console.press("greater_than_sign")
        await console.until(lambda: names_in(console)[0] == "C0500")
        del vast_shop.client.coupons["C0499"]
        await console.read_again()

        assert names_in(console)[0] == "C0000"
        assert "page" not in console.lines[1]
        assert "stale" not in console.picture


async def test_the_cursor_follows_its_coupon_when_the_order_changes(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("s", "down")
        assert table_of(console).selected == "SPRING"
        sell(shop, "SPRING", 0)
        sell(shop, "GONE", 5)
        sell(shop, "SUMMER", 3)
        await console.read_again()

        assert names_in(console) == ["SPRING", "SUMMER", "GONE"]
        assert table_of(console).selected == "SPRING"
        assert table_of(console).cursor_row == 0


async def test_the_cursor_stays_on_the_table_when_its_coupon_has_gone(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down", "down")
        del shop.client.coupons["SUMMER"]
        await console.read_again()

        assert table_of(console).selected == "SPRING"


async def test_only_cells_that_changed_are_written(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[object, ...]] = []
    write = LiveTable.update_cell

    def note(table: LiveTable, row: str, column: str, *value: object, **more: object) -> None:
        written.append((row, column))
        write(table, row, column, *value, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(LiveTable, "update_cell", note)
    async with opened(shop) as console:
        await console.read_again()
        assert written == []

        shop.clock.seconds += 1
        sell(shop, "SPRING", 99)
        await console.read_again()
        assert sorted(written) == [("1", "Claims/s"), ("1", "Left"), ("1", "Stock")]


async def test_claims_a_second_stand_in_the_table_and_beside_it(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("down")
        shop.clock.seconds += 2
        sell(shop, "SPRING", 75)
        await console.read_again()

        assert str(table_of(console).get_cell("1", "Claims/s")) == "12"
        assert "● live  12 claims/s" in console.picture


async def test_verify_turns_the_light_and_says_what_it_found(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find() -> Audit:
        return Audit(3, 0, (Finding("SPRING", FindingKind.OVERSOLD, "101 claims of 100 units"),))

    monkeypatch.setattr(shop.client, "verify", find)
    async with opened(shop) as console:
        await console.press("v")
        await console.until(lambda: "✘ 1 finding" in console.picture)
        assert "✘ oversold  SPRING" in console.picture
        assert "ledger: 1 finding" in console.picture
        assert "$ couponctl verify" in console.picture


@pytest.mark.parametrize("failure", [Unreachable("refused"), ValueError("password=secret")], ids=repr)
async def test_an_audit_that_fails_says_so(shop: Scene, opened: Opened, failure: Exception) -> None:
    async with opened(shop) as console:
        shop.client.failure = failure
        await console.press("v")
        await console.until(lambda: "? " in console.picture)

        assert "reading the ledger" not in console.picture
        assert "secret" not in console.picture


async def test_the_audit_is_heard_where_its_pane_has_no_room(shop: Scene, opened: Opened) -> None:
    async with opened(shop, (80, 24)) as console:
        await console.press("v")
        await console.until(lambda: "ledger: balanced" in console.picture)


async def test_the_name_is_copied_as_it_is(tmp_path: Path, opened: Opened) -> None:
    async with opened(scene(tmp_path, coupon("a\x1b[31mb"))) as console:
        await console.press("y")
        assert console.app.clipboard == "a\x1b[31mb"


async def test_a_part_of_the_ledger_is_not_said_to_balance(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find() -> Audit:
        return Audit(3, 0, (), hidden=Hidden("clerk", coupons=False, claims=True))

    monkeypatch.setattr(shop.client, "verify", find)
    async with opened(shop) as console:
        await console.press("v")
        await console.until(lambda: "? 3 coupons, 0 claims seen: sound" in console.picture)
        assert "row-level security hides the rest" in console.picture
        await console.until(lambda: "ledger: as far as role" in console.picture)
        assert "balanced" not in console.picture


async def create(console: Console, name: str) -> None:
    await console.press("n")
    await console.type(name)
    await console.press("tab", "9", "enter")
    await console.until(lambda: len(console.app.screen_stack) == 1)


async def test_after_new_the_cursor_stands_on_the_new_coupon(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await create(console, "TULIP")
        await console.until(lambda: table_of(console).selected == "TULIP")
        assert "page" not in console.lines[1]

        await console.press("c")
        assert console.app.screen.query(Input).first().value == "TULIP"


async def test_the_new_coupon_is_scrolled_to(tmp_path: Path, opened: Opened) -> None:
    many = (coupon(f"C{number:03}") for number in range(200))
    async with opened(scene(tmp_path, *many)) as console:
        await create(console, "C150a")
        await console.until(lambda: table_of(console).selected == "C150a")

        await console.until(lambda: " C150a " in console.picture)


async def test_a_new_coupon_beyond_this_page_is_brought_with_the_newest(
    vast_shop: Scene, opened: Opened
) -> None:
    async with opened(vast_shop) as console:
        await create(console, "ZULU")
        await console.until(lambda: table_of(console).selected == "ZULU")

        assert "by created" in console.lines[1]
        assert "ZULU is not in that list: sorted by newest now" in console.picture


async def test_a_new_coupon_that_the_filter_hides_is_brought_with_the_newest(
    shop: Scene, opened: Opened
) -> None:
    async with opened(shop) as console:
        await console.press("slash")
        await console.type("summ")
        await console.press("enter")
        await console.until(lambda: names_in(console) == ["SUMMER"])
        await create(console, "TULIP")
        await console.until(lambda: table_of(console).selected == "TULIP")

        assert len(names_in(console)) == 4
        assert 'with "' not in console.lines[1]


async def test_keys_act_on_the_new_coupon_before_it_is_in_the_table(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        shop.client.listed = asyncio.Event()
        await create(console, "TULIP")
        assert table_of(console).selected == "GONE"
        await console.press("c")

        assert console.app.screen.query(Input).first().value == "TULIP"


async def test_the_cursor_stays_where_the_operator_has_gone_meanwhile(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        shop.client.listed = asyncio.Event()
        await create(console, "TULIP")
        await console.press("down")
        shop.client.listed.set()
        await console.until(lambda: "TULIP" in names_in(console))

        assert table_of(console).selected == "SPRING"
        await console.press("c")
        assert console.app.screen.query(Input).first().value == "SPRING"
