"""The console on a desk made by hand, without timers: a picture is drawn when the test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from couponctl.tui.app import CouponApp
from tests.tui.desks import Scene, coupon, scene
from tests.tui.pictures import Console

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ((120, 36), (80, 24))

Opened = Callable[..., AbstractAsyncContextManager[Console]]


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pictures whatever terminal the tests run in."""
    for variable in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def shop(tmp_path: Path) -> Scene:
    """Three coupons: untouched, half gone, sold out."""
    return scene(tmp_path / "runs", coupon("SPRING", 100), coupon("SUMMER", 1_000, 480), coupon("GONE", 5, 0))


@pytest.fixture
def empty_shop(tmp_path: Path) -> Scene:
    return scene(tmp_path / "runs")


@pytest.fixture
def opened() -> Opened:
    """Opens the console on a scene; at its end no exception may be left in it."""

    @asynccontextmanager
    async def open_on(scene: Scene, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Console]:
        app = CouponApp(scene.desk, refresh_hz=0)
        async with app.run_test(size=size, notifications=True) as pilot:
            console = Console(app, pilot, scene)
            await console.settle()
            yield console

    return open_on
