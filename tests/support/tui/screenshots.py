"""The README's pictures, from a session on real data: `make screenshots`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
from textual.widgets import Input

from couponctl import embedded
from couponctl.server import server_for
from couponctl.settings import Embedded, Settings
from couponctl.tui.app import CouponApp
from couponctl.tui.console_main import open_dependencies
from couponctl.tui.theme import DARK

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from couponctl.postgres.libpq import Server

SIZE = (120, 36)

COUPONS = {
    "BLACK-FRIDAY": 1_000,
    "DOUBLE-11": 500,
    "EARLY-BIRD": 50,
    "FLASH-10": 10,
    "SPRING-24": 250,
    "STUDENTS": 2_000,
    "VIP-ONLY": 25,
    "WELCOME": 10_000,
    "新年快乐": 888,
}


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause(0.05)


async def session(settings: Settings, server: Server, directory: Path) -> None:
    async with open_dependencies(settings, server, ()) as opened:
        dependencies = replace(
            opened, settings=replace(settings, target=Embedded())
        )  # whose directory is nobody's business
        for name, amount in COUPONS.items():
            await dependencies.client.create(name, amount)
        for number, (name, amount) in enumerate(COUPONS.items(), start=2):
            for user in range(min(amount, 60) if number % 3 else amount // 2 if amount < 400 else 130):
                await dependencies.client.claim(name, f"user-{user:04}")
        app = CouponApp(dependencies)
        async with app.run_test(size=SIZE) as pilot:
            app.theme = DARK.name

            def picture(name: str) -> None:
                app.save_screenshot(f"{name}.svg", str(directory))

            await coupons(app, pilot, picture)
            await drills(app, pilot, picture)
            await pool(app, pilot, picture, server)
            await compared(app, pilot, picture)
            app.exit(0)


async def coupons(app: CouponApp, pilot: Pilot[Any], picture: Callable[[str], None]) -> None:
    """A sale that is under way."""
    await pilot.press("v")
    sale = asyncio.create_task(_sell(app))
    await pilot.press("down")
    await pilot.pause(4)
    picture("coupons")
    await sale


async def _sell(app: CouponApp) -> None:
    for user in range(1_000, 1_400):
        await app.dependencies.client.claim("BLACK-FRIDAY", f"user-{user}")
        await app.dependencies.client.claim("WELCOME", f"user-{user}")
        await asyncio.sleep(0.01)


async def drills(app: CouponApp, pilot: Pilot[Any], picture: Callable[[str], None]) -> None:
    """A drill that is under way, after another of its kind."""
    stage = app.dependencies.runner
    await pilot.press("2", "down", "down")
    for number in ("500", "2000"):
        await pilot.press("e")
        await pilot.pause(0.3)
        app.screen.query_one("#field-n", Input).value = number
        await pilot.press("ctrl+r")
        await until(pilot, lambda: stage.running)
        if number == "2000":
            await until(pilot, lambda: (state := stage.state()) and state.view.done > 400)
            await pilot.pause(0.3)
            picture("drills")
        await until(pilot, lambda: not stage.running)
        await pilot.pause(0.5)


async def pool(app: CouponApp, pilot: Pilot[Any], picture: Callable[[str], None], server: Server) -> None:
    """Claims that wait for somebody who went to lunch."""
    host = server.hosts[0]
    idle = await asyncpg.connect(
        server.dsn, host=host.host, port=host.port, server_settings={"application_name": "psql"}
    )
    async with idle.transaction():
        await idle.execute("SELECT FROM coupons WHERE name = 'DOUBLE-11' FOR UPDATE")
        claims = [
            asyncio.create_task(app.dependencies.client.claim("DOUBLE-11", f"late-{n}")) for n in range(3)
        ]
        await pilot.press("3")
        await pilot.pause(3)
        picture("pool")
    await asyncio.gather(*claims)
    await idle.close()


async def compared(app: CouponApp, pilot: Pilot[Any], picture: Callable[[str], None]) -> None:
    """The two runs of the drill, side by side."""
    await pilot.press("4")
    await pilot.pause(2.5)
    await pilot.press("m", "down", "d")
    await pilot.pause(0.5)
    picture("compare")


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="couponctl-pictures-") as scratch:
        Path(scratch).chmod(0o711)
        os.environ["XDG_STATE_HOME"] = str(Path(scratch) / "state")
        base = Path(scratch) / "server"
        settings = Settings(Embedded(base))
        with server_for(settings) as server:
            asyncio.run(session(settings, server, directory))
        embedded.stop(base, now=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
