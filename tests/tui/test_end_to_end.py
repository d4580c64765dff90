"""The console on real PostgreSQL, from its keys to the ledger and back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input

from couponctl import embedded
from couponctl.ledger.schema import schema_sql
from couponctl.server import server_for
from couponctl.settings import Embedded, Settings
from couponctl.tui.app import CouponApp
from couponctl.tui.console_main import open_dependencies
from tests.support.clones import Clones
from tests.support.leftovers import assert_nothing_left
from tests.support.tui.pictures import Console
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

_NO_SCENE: Any = None
"""Nothing is made by hand here."""

LONG = 20.0
"""Seconds that a drill or a server's return may take on a busy machine."""


@asynccontextmanager
async def opened_on(server: Server, settings: Settings) -> AsyncIterator[Console]:
    """The console with everything behind it that the real one has."""
    async with open_dependencies(settings, server, ()) as dependencies:
        app = CouponApp(dependencies, refresh_hz=0)
        async with app.run_test(size=(160, 45), notifications=True) as pilot:
            console = Console(app, pilot, _NO_SCENE)
            await console.until(lambda: "● live" in console.picture or "no coupons yet" in console.picture)
            yield console


@pytest.fixture
async def console(server: Server, limits: Limits) -> AsyncIterator[Console]:
    async with opened_on(server, Settings(server, limits=limits)) as console:
        yield console


async def sees(console: Console, *wanted: str, gone: str = "", seconds: float = LONG) -> None:
    """Draw until all of it is on the screen, and what was to go is gone."""
    try:
        await console.until(
            lambda: (
                all(each in console.picture for each in wanted) and not (gone and gone in console.picture)
            ),
            seconds=seconds,
        )
    except TimeoutError:
        raise AssertionError(f"never shown: {wanted} without {gone!r}, but:\n{console.picture}") from None


async def fill_in(console: Console, key: str, *values: str) -> None:
    """Open a form and fill in its fields, from the one that has the focus."""
    await console.press(key)
    await console.until(lambda: isinstance(console.app.focused, Input))
    for number, value in enumerate(values):
        if number:
            await console.press("tab")
        await console.type(value)
    await console.press("enter")


async def run_drill(console: Console, downs: int, **parameters: str) -> None:
    """Run the drill so far down in the catalog, with other parameters than its own."""
    await console.press("2", *["down"] * downs, "e")
    await console.until(lambda: isinstance(console.app.focused, Input))
    for name, value in parameters.items():
        console.app.screen.query_one(f"#field-{name}", Input).value = value
    await console.press("ctrl+r")
    await sees(console, "On ", "this will")
    await console.press("y")


async def test_a_coupon_is_created_claimed_once_and_audited(
    console: Console, observer: asyncpg.Connection
) -> None:
    await fill_in(console, "n", "SPRING", "2")
    await sees(console, "2 of 2 left", "$ couponctl create SPRING 2")
    await fill_in(console, "c", "alice")
    await sees(console, "1 of 2 left", "newest claimants", "alice has claimed SPRING")
    await fill_in(console, "c", "alice")
    await sees(console, "already")
    await console.press("escape", "v")
    await sees(console, "ledger: balanced")

    rows = await observer.fetch("SELECT coupon_name, user_id FROM claims")
    assert [tuple(row) for row in rows] == [("SPRING", "alice")]
    assert await observer.fetchval("SELECT remaining_amount FROM coupons") == 1


async def test_a_damaged_ledger_is_found(console: Console, other_session: asyncpg.Connection) -> None:
    await other_session.execute("INSERT INTO coupons VALUES ('TWISTED', 5, 3)")
    await console.press("v")

    await sees(console, "✘", "TWISTED", "ledger: 1 finding")


async def test_drills_pass_are_kept_and_compared(console: Console, observer: asyncpg.Connection) -> None:
    await run_drill(console, 0)
    await sees(console, "flash-sale: ✔ PASS")
    await run_drill(console, 2, n="500")
    await sees(console, "scale: ✔ PASS", "500/500")
    report = console.app.dependencies.runner.state()
    assert report is not None
    assert report.report is not None
    assert report.report.outcomes == {"claimed": 50, "sold_out": 450}
    await console.press("4")
    await sees(console, "2 runs", "flash-sale", "scale")
    await console.press("m", "down", "d")

    await sees(console, "Before", "After", "two different drills", "claims")
    assert await observer.fetchval("SELECT count(*) FROM coupons") == 0
    kept = [(run.report.drill, run.made_by) for run in console.app.dependencies.runs.list().runs]
    assert kept == [("scale", "console"), ("flash-sale", "console")]


async def test_a_drill_is_aborted_by_a_key(console: Console, observer: asyncpg.Connection) -> None:
    await run_drill(console, 2, n="5000")
    await sees(console, "claiming")
    await console.press("x")

    await sees(console, "scale: aborted")
    await assert_nothing_left(observer)


async def test_the_pool_shows_who_holds_up_a_claim(
    console: Console, other_session: asyncpg.Connection
) -> None:
    await fill_in(console, "n", "SPRING", "5")
    await sees(console, "5 of 5 left")
    await other_session.execute("BEGIN; SELECT FROM coupons FOR UPDATE")
    holder = await other_session.fetchval("SELECT pg_backend_pid()")
    await fill_in(console, "c", "alice")
    await console.press("escape")
    claim = asyncio.create_task(console.app.dependencies.client.claim("SPRING", "bob"))
    await console.press("3")
    await sees(console, "Lock:", f"{holder}", "idle in transaction")
    blocking = console.picture.partition("─ Blocking ─")[2]

    assert str(holder) in blocking
    assert "waits" in blocking
    await other_session.execute("ROLLBACK")
    assert (await claim).refusal is None
    await sees(console, "no lock waits")


async def test_many_coupons_are_paged(console: Console, other_session: asyncpg.Connection) -> None:
    await other_session.execute(
        "INSERT INTO coupons SELECT 'C' || lpad(n::text, 4, '0'), 9, 9 FROM generate_series(1, 1200) n"
    )
    await sees(console, "1-500, more: >", "C0001")
    await console.press("greater_than_sign")
    await sees(console, "501-1,000, more: >", "C0501", gone="C0001")
    await console.press("greater_than_sign")
    await sees(console, "1,001-1,200, the last", "C1001", gone="more: >")
    await console.press("less_than_sign", "less_than_sign")
    await sees(console, "C0001", "1-500, more: >")
    await console.press("slash", *"C119")

    await sees(console, "10 coupons", "C1199", gone="C0001")


_BACKENDS = """
    SELECT application_name, pid FROM pg_stat_activity
     WHERE application_name IN ('couponctl/tui', 'couponctl/watch') AND datname = current_database()
"""


async def test_it_survives_the_loss_of_all_its_backends(
    console: Console, other_session: asyncpg.Connection
) -> None:
    async def at_work() -> set[str]:
        return {row["application_name"] for row in await other_session.fetch(_BACKENDS)}

    await console.press("3")
    for name in ("FIRST", "SECOND"):
        await until(at_work, {"couponctl/tui", "couponctl/watch"})
        for row in await other_session.fetch(_BACKENDS):
            await other_session.execute("SELECT pg_terminate_backend($1)", row["pid"])
        await other_session.execute("INSERT INTO coupons VALUES ($1, 5, 5)", name)
        await console.press("1")
        await sees(console, name, gone="stale")
        await console.press("3")
        await sees(console, "couponctl/tui", gone="stale")


async def test_a_server_that_stops_is_stale_until_it_is_back(private_base: Path, limits: Limits) -> None:
    await asyncio.to_thread(embedded.start, private_base)
    with server_for(Settings(Embedded(private_base))) as server:
        url = embedded.status(private_base).url
        await asyncio.to_thread(Clones.execute, url, schema_sql())
        async with opened_on(server, Settings(Embedded(private_base), limits=limits)) as console:
            await fill_in(console, "n", "SPRING", "5")
            await sees(console, "5 of 5 left")
            await asyncio.to_thread(embedded.stop, private_base, now=True)
            await sees(console, "■ stale", "SPRING", "stale ", " s: ")
            await fill_in(console, "c", "alice")
            await sees(console, "The database cannot be reached")
            await console.press("escape")
            await asyncio.to_thread(embedded.start, private_base)
            await sees(console, "SPRING", gone="stale")
            await fill_in(console, "c", "alice")

            await sees(console, "4 of 5 left", "alice has claimed SPRING")
