from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.tui.conftest import Opened
    from tests.tui.desks import Scene


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
