"""Mode 2: asking before a drill runs, its end, and leaving while it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from couponctl.drills.reports.conclusion import aborted_words
from couponctl.drills.reports.slo import parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.errors import Unreachable
from couponctl.postgres.libpq import server_at
from couponctl.sandbox.schema import Leftover
from couponctl.settings import Settings
from couponctl.tui.screens.confirm import Confirm
from couponctl.tui.text import Tone
from couponctl.tui.widgets.run_panes import RunPane
from tests.support.tui.saved import HELD, sale_report
from tests.support.tui.scenes import coupon, scene, view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

DEAD = Leftover("couponctl_drill_0badcafe", running=False)
ALIVE = Leftover("couponctl_drill_0000beef", running=True)


@pytest.fixture
def other_shop(tmp_path: Path) -> Scene:
    """A coupon on a server that is neither private nor production."""
    server = server_at("postgresql://ops@db.example:5432/shop", source="the test")
    return scene(tmp_path / "runs", coupon("SPRING", 100), settings=Settings(server))


def commands(shop: Scene) -> list[str]:
    """The command lines of the event log."""
    return [event.command for event in shop.dependencies.events.events]


def asks(console: Console) -> bool:
    return isinstance(console.app.screen, Confirm)


async def test_on_the_private_server_a_drill_runs_at_once(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r")

        assert len(shop.launched) == 1
        assert "▶ flash-sale 312/500" in console.lines[0]


async def test_another_server_asks_first(other_shop: Scene, opened: Opened) -> None:
    async with opened(other_shop) as console:
        await console.press("2", "r")
        assert "On ops@db.example:5432/shop this will" in console.picture
        assert "PRODUCTION" not in console.picture

        await console.press("escape")
        assert other_shop.launched == []

        await console.press("r", "y")
        assert len(other_shop.launched) == 1


async def test_enter_on_a_question_refuses(other_shop: Scene, opened: Opened) -> None:
    async with opened(other_shop) as console:
        await console.press("2", "r", "enter")

        assert not asks(console)
        assert other_shop.launched == []


async def test_production_wants_the_name_of_its_database(production_shop: Scene, opened: Opened) -> None:
    async with opened(production_shop) as console:
        await console.press("2", "r")
        for wrong in ("", "y", "SHOP", "shop "):
            console.app.screen.query_one(Input).value = wrong
            await console.press("enter")
            assert production_shop.launched == [], wrong
            assert asks(console)
        assert "what was typed is something else" in console.picture.replace("│", "")

        console.app.screen.query_one(Input).value = "shop"
        await console.press("enter")
        assert len(production_shop.launched) == 1


async def test_a_read_only_context_refuses_and_offers_nothing_to_agree_to(
    read_only_shop: Scene, opened: Opened
) -> None:
    async with opened(read_only_shop) as console:
        await console.press("2", "r")
        assert "is marked read-only" in console.picture
        await console.press("y")

        assert not asks(console)
        assert read_only_shop.launched == []


async def test_a_second_drill_waits_for_the_end_of_the_first(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r", "r")
        assert len(shop.launched) == 1
        assert "a drill is already running" in console.picture

        shop.launched[0].end(sale_report())
        await console.press("r")
        assert len(shop.launched) == 2


async def test_x_aborts_the_drill_and_the_console_goes_on(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r", "x")

        assert shop.launched[0].aborted
        assert "? aborted, 312 of 500 answered" in console.picture
        assert console.app.is_running


async def test_who_was_called_back_is_no_error(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r")
        drill = shop.launched[0]
        drill.aborted, drill.shown = True, view(done=500, cancelled=188)
        await console.settle()
        assert "▶ flash-sale 312/500" in console.lines[0]

        drill.end(failure=aborted_words(drill.shown))
        await console.settle()
        assert " 312/500 " in console.picture
        assert "500/500" not in console.picture
        assert "flash-sale: aborted, 312 of 500 answered" in {
            e.words for e in shop.dependencies.events.events
        }
        figures = console.lines[console.place_of(" 312/500 ")[1]].split()
        assert figures[figures.index("312/500") :][3] == "0", "errors"


MISSED = held_to(sale_report(), [parse("claimed.p99<1ms")])


async def test_a_missed_level_is_amber_wherever_it_is_said(shop_with_runs: Scene, opened: Opened) -> None:
    shop = shop_with_runs
    async with opened(shop) as console:
        await console.press("2", "r", "1")
        shop.launched[0].end(MISSED)
        await console.until(lambda: "flash-sale: ! PASS, SLO missed" in console.flowing)
        (toast,) = console.app._notifications
        assert toast.severity == "warning"
        assert [event.tone for event in shop.dependencies.events.events if "PASS" in event.words] == [
            Tone.WARN
        ]

        await console.press("2")
        assert "! PASS, SLO missed" in console.picture
        assert "! flash-sale" in console.picture
        assert console.app.screen.query_one(RunPane).has_class("-warn")
        assert not console.app.screen.query_one(RunPane).has_class("-good")
        await console.press("4")
        await console.until(lambda: "! PASS, SLO missed" in console.picture)
        await console.press("m", "down", "d")
        (row,) = (line for line in console.lines if " verdict " in line)
        assert "✔ PASS" in row
        assert "! PASS, SLO missed" in row


async def test_x_without_a_drill_says_so(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "x")
        assert "no drill is running" in console.picture


async def test_checks_turn_one_by_one(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r")
        for decided in range(len(HELD) + 1):
            shop.launched[0].shown = view(checks=HELD[:decided])
            await console.settle()
            assert sum(f"✔ {check.promise}" in console.picture for check in HELD) == decided


async def test_the_end_is_heard_in_every_other_mode_and_kept(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r", "1")
        shop.launched[0].end(sale_report())
        await console.until(lambda: "flash-sale: ✔ PASS" in console.picture)
        assert "couponctl runs show 0badcafe" in commands(shop)
        await console.until(shop.dependencies.runs.run_ids)
        assert shop.dependencies.runs.run_ids() == ("0badcafe",)


async def test_a_run_that_cannot_be_kept_is_an_event(shop: Scene, opened: Opened) -> None:
    shop.dependencies.runs.directory.write_text("a file where the directory should be")
    async with opened(shop) as console:
        await console.press("2", "r")
        shop.launched[0].end(sale_report())
        await console.until(lambda: "this run was not saved" in console.picture)
        assert "✔ PASS" in console.picture


async def test_what_a_drill_left_behind_is_told_with_the_way_to_remove_it(
    shop: Scene, opened: Opened
) -> None:
    async with opened(shop) as console:
        await console.press("2", "r")
        shop.launched[0].left_behind = "couponctl_drill_0badcafe"
        shop.launched[0].end(failure="its process ended without a verdict")
        await console.settle()

        assert "couponctl_drill_0badcafe" in console.picture
        assert "$ couponctl drill clean" in console.picture


async def test_leaving_while_a_drill_runs_asks_and_no_goes_on(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r", "1", "q")
        assert "A drill is running." in console.picture
        await console.press("n")

        assert not asks(console)
        assert not shop.launched[0].aborted
        assert console.app.return_value is None


async def test_leaving_while_a_drill_runs_aborts_it_first(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        await console.press("2", "r", "q")
        await console.pilot.press("y")
        await console.until(lambda: console.app.return_value is not None)

        assert shop.launched[0].aborted
        assert console.app.return_value == 0


async def test_leftovers_are_removed_only_on_consent(shop: Scene, opened: Opened) -> None:
    shop.leftovers.found = (DEAD, ALIVE)
    async with opened(shop) as console:
        await console.until(lambda: asks(console))
        assert "drop couponctl_drill_0badcafe" in console.picture
        assert ALIVE.schema not in console.picture
        assert shop.leftovers.removed == []

        await console.press("y")
        await console.until(lambda: "couponctl drill clean" in commands(shop))
        assert shop.leftovers.removed == [DEAD]


async def test_leftovers_stay_without_consent(shop: Scene, opened: Opened) -> None:
    shop.leftovers.found = (DEAD,)
    async with opened(shop) as console:
        await console.until(lambda: asks(console))
        await console.press("n")

        assert not asks(console)
        assert shop.leftovers.removed == []


async def test_a_drill_that_is_alive_is_nobodys_leaving(shop: Scene, opened: Opened) -> None:
    shop.leftovers.found = (ALIVE,)
    async with opened(shop) as console:
        assert not asks(console)
        assert ALIVE.schema not in console.picture


async def test_who_types_into_a_form_is_not_asked_about_leftovers(shop: Scene, opened: Opened) -> None:
    shop.leftovers.failure = Unreachable("connection refused")
    async with opened(shop) as console:
        await console.press("n")
        shop.leftovers.failure, shop.leftovers.found = None, (DEAD,)
        await console.until(lambda: shop.dependencies.events.version)
        await console.type("yyy")
        assert console.app.screen.query(Input).first().value == "yyy"

        await console.press("escape")
        await console.until(lambda: asks(console))
        assert shop.leftovers.removed == []


async def test_leftovers_on_production_want_the_name_of_its_database(
    production_shop: Scene, opened: Opened
) -> None:
    production_shop.leftovers.found = (DEAD,)
    async with opened(production_shop) as console:
        await console.until(lambda: asks(console))
        await console.press("tab", "y")
        assert production_shop.leftovers.removed == []

        console.app.screen.query_one(Input).value = "shop"
        console.app.screen.query_one(Input).focus()
        await console.press("enter")
        await console.until(lambda: production_shop.leftovers.removed)
