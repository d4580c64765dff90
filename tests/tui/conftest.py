"""The console on scenes made by hand, without timers: a picture is drawn when the test says so."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from textual.css.stylesheet import Stylesheet

from couponctl.postgres.libpq import server_at
from couponctl.settings import Settings
from couponctl.tui.app import CouponApp
from tests.support.tui.haste import parsed_once, until_idle
from tests.support.tui.pictures import Console, TextPicture
from tests.support.tui.saved import BROKEN, keep, kept
from tests.support.tui.scenes import Scene, coupon, scene

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

Opened = Callable[..., AbstractAsyncContextManager[Console]]


@pytest.fixture(autouse=True, scope="package")
def seldom_collected() -> Iterator[None]:
    """A console is a heap of cycles; looking through it less often takes a quarter off these tests."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 50)
    yield
    gc.set_threshold(*before)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual waits for what happens, not by the clock, and parses each piece of CSS once."""
    for module in ("app", "pilot"):
        monkeypatch.setattr(f"textual.{module}.wait_for_idle", until_idle)
    monkeypatch.setattr(Stylesheet, "_parse_rules", parsed_once)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pictures whatever terminal the tests run in."""
    for variable in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


@pytest.fixture(autouse=True)
def an_hour_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is not UTC here, and the same on every machine."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """The picture that is kept of this test."""
    return snapshot.use_extension(TextPicture)


@pytest.fixture
def shop(tmp_path: Path) -> Scene:
    """Three coupons: untouched, half gone, sold out."""
    return scene(tmp_path / "runs", coupon("SPRING", 100), coupon("SUMMER", 1_000, 480), coupon("GONE", 5, 0))


@pytest.fixture
def empty_shop(tmp_path: Path) -> Scene:
    return scene(tmp_path / "runs")


@pytest.fixture
def shop_with_runs(shop: Scene) -> Scene:
    """Three coupons, and three runs of drills: of yesterday, one that failed, one that has just passed."""
    keep(
        shop,
        kept("00000001", minutes_ago=24 * 60),
        kept("00000002", minutes_ago=90, checks=BROKEN, drill="stampede"),
        kept("00000003", minutes_ago=3, made_by="console", claim_phase=1.5),
    )
    return shop


@pytest.fixture
def production_shop(tmp_path: Path) -> Scene:
    """A coupon on a server that is marked as production."""
    server = server_at("postgresql://ops@db.example:5432/shop", source="the test")
    return scene(
        tmp_path / "runs", coupon("SPRING", 100), settings=Settings(server, environment="production")
    )


@pytest.fixture
def read_only_shop(tmp_path: Path) -> Scene:
    """A coupon on a server that is marked as read-only."""
    server = server_at("postgresql://ops@db.example:5432/shop", source="the test")
    return scene(tmp_path / "runs", coupon("SPRING", 100), settings=Settings(server, read_only=True))


@pytest.fixture
def opened() -> Opened:
    """Opens the console on a scene; at its end no exception may be left in it."""

    @asynccontextmanager
    async def open_on(scene: Scene, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Console]:
        app = CouponApp(scene.dependencies, refresh_hz=0)
        async with app.run_test(size=size, notifications=True) as pilot:
            console = Console(app, pilot, scene)
            await console.settle()
            yield console

    return open_on
