"""The database goes away and comes back, or something happens that nobody thought of: the console stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.errors import Unreachable

if TYPE_CHECKING:
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

REFUSED = Unreachable("connection refused")


async def test_a_database_that_is_down_from_the_start_comes_up_by_itself(shop: Scene, opened: Opened) -> None:
    shop.client.failure = REFUSED
    async with opened(shop) as console:
        assert "cannot be reached: connection refused" in console.picture
        assert "■ stale" in console.lines[0]

        shop.client.failure = None
        await console.until(lambda: "SPRING" in console.picture)
        assert "■ stale" not in console.lines[0]


async def test_an_outage_keeps_the_data_and_counts_the_seconds(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        shop.client.failure = REFUSED
        await console.read_again()
        for seconds in (5, 7):
            shop.clock.seconds += seconds
            await console.settle()
            assert "SUMMER" in console.picture
        assert "stale 12 s: The database cannot be reached" in console.picture

        shop.client.failure = None
        await console.read_again()
        assert "stale" not in console.picture


@pytest.mark.parametrize("mode", ["1", "3", "4"])
async def test_an_error_that_nobody_expected_ends_nothing(
    shop: Scene, opened: Opened, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("password=secret")

    shop.client.failure = ZeroDivisionError("password=secret")
    shop.server.failure = ZeroDivisionError("password=secret")
    monkeypatch.setattr(shop.dependencies.runs, "run_ids", fail)
    async with opened(shop) as console:
        await console.press(mode)
        await console.until(lambda: "unexpected: ZeroDivisionError" in console.picture)
        assert "secret" not in console.picture
        assert console.app.is_running


async def test_claimants_of_a_coupon_that_has_gone_say_so(shop: Scene, opened: Opened) -> None:
    async with opened(shop) as console:
        del shop.client.coupons["GONE"]
        await console.pilot.press("enter")
        await console.until(lambda: 'There is no coupon "GONE"' in console.picture)
