"""Mode 3: the backends of the server, and who blocks whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.tui.widgets.live_table import LiveTable
from tests.support.tui.scenes import activity
from tests.tui.test_mode_pictures import BLOCKER, HIDDEN, IDLE, WAITER

if TYPE_CHECKING:
    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened


@pytest.fixture
def busy_shop(shop: Scene) -> Scene:
    """Four backends, one of which blocks another."""
    shop.server.activity = activity(BLOCKER, WAITER, IDLE, HIDDEN)
    return shop


async def look_at_pool(console: Console) -> None:
    await console.press("3")
    await console.until(lambda: "4 backends" in console.picture)


def pids(console: Console) -> list[str]:
    table = console.app.screen.query_one(LiveTable)
    return [str(table.get_cell(str(row), "PID")) for row in range(table.row_count)]


async def test_locks_only_leaves_who_blocks_and_who_waits(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)
        await console.press("l")
        assert pids(console) == ["4711", "4712"]
        assert "Backends · locks only" in console.picture

        await console.press("l")
        assert pids(console) == ["4711", "4712", "4713", "4714"]


async def test_sorting_goes_round(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)
        orders = []
        for _ in range(4):
            await console.press("s")
            orders.append(pids(console))

        assert orders == [
            ["4713", "4711", "4712", "4714"],
            ["4714", "4712", "4711", "4713"],
            ["4714", "4712", "4713", "4711"],
            ["4711", "4712", "4713", "4714"],
        ]


async def test_a_pause_holds_the_picture_still(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)
        await console.press("p")
        assert "(paused)" in console.picture
        busy_shop.server.activity = activity(IDLE, at=2.0)
        await console.read_again()
        assert "4 backends" in console.picture

        await console.press("p")
        assert "1 backend" in console.picture
        assert "(paused)" not in console.picture


async def test_the_chain_names_who_blocks_and_indents_who_waits(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)

        assert "│ 4711 psql (ops) idle in transaction 42.0 s" in console.picture
        assert "│   4712 couponctl/drill-0badcafe (sales) waits 3.5 s for 4711" in console.picture
        assert "pg_read_all_stats would show it" in console.picture


async def test_commits_a_second_come_from_two_looks(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)
        assert "commits    –" in console.picture
        busy_shop.server.activity = activity(IDLE, at=3.0, commits=2100)
        await console.read_again()
        assert "commits    1,000/s" in console.picture

        busy_shop.server.activity = activity(IDLE, at=4.0, commits=5)
        await console.read_again()
        assert "commits    0/s" in console.picture, "the counters began anew"


async def test_nobody_looks_at_the_server_in_another_mode(busy_shop: Scene, opened: Opened) -> None:
    async with opened(busy_shop) as console:
        await look_at_pool(console)
        pool = console.app.screen
        await console.press("1")
        (poller,) = pool.pollers  # type: ignore[attr-defined]
        before = poller.version
        poller.poll_now()
        await console.settle()
        poller.poll_now()
        await console.settle()

        assert poller.version <= before + 1
