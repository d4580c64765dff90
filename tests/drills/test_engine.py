"""A run of a drill leaves nothing behind, however it ends, and never says PASS without proof."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog.sale import FLASH_SALE, SCALE
from couponctl.drills.check import equals
from couponctl.drills.drill import Drill, Parameters, Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.faults.proxy import wire_proxy
from couponctl.drills.progress import Progress
from couponctl.errors import Unreachable
from couponctl.models import Outcome
from couponctl.postgres.database import open_database
from couponctl.postgres.limits import DEFAULT_LIMITS
from couponctl.sandbox.schema import leftovers, remove_all
from tests.support.leftovers import assert_nothing_left
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from couponctl.drills.check import Check
    from couponctl.drills.context import DrillContext
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


@pytest.fixture
def target(server: Server, limits: Limits) -> Target:
    return Target(server, limits)


async def test_a_drill_passes_and_leaves_nothing(target: Target, observer: asyncpg.Connection) -> None:
    progress = Progress()
    report = await run_drill(FLASH_SALE.spec(target.limits, seed=7), target, progress=progress)

    assert report.verdict is Verdict.PASS
    assert report.outcomes == {Outcome.CLAIMED: 5, Outcome.SOLD_OUT: 45}
    assert report.seed == 7
    assert (progress.view().done, progress.view().total, progress.on_server.schema) == (50, 50, None)
    await assert_nothing_left(observer)


async def test_the_operators_tables_are_neither_read_nor_written(
    target: Target, other_session: asyncpg.Connection
) -> None:
    """They are not even there while the drill runs."""
    await other_session.execute("DROP TABLE claims, coupons")

    assert (await run_drill(FLASH_SALE.spec(target.limits), target)).verdict is Verdict.PASS
    assert await other_session.fetchval("SELECT to_regclass('coupons') IS NULL")


@pytest.mark.parametrize(
    ("given", "stock", "timeout"),
    [
        ({}, 10, 60.0),
        ({"n": 200}, 20, 60.0),
        ({"n": 500}, 50, 120.0),
        ({"n": 5}, 1, 60.0),
        ({"n": 500, "stock": 7, "timeout": 3.0}, 7, 3.0),
    ],
)
def test_scale_derives_stock_and_time_from_the_users(
    given: dict[str, float], stock: int, timeout: float
) -> None:
    scale = SCALE.spec(DEFAULT_LIMITS, given).parameters

    assert (scale.stock, scale.timeout, scale.pool_size) == (stock, timeout, DEFAULT_LIMITS.pool_size)


async def test_more_units_than_users_is_a_sale_too(target: Target) -> None:
    report = await run_drill(SCALE.spec(target.limits, {"n": 5, "stock": 9}), target)

    assert report.verdict is Verdict.PASS
    assert report.outcomes == {Outcome.CLAIMED: 5}


async def test_a_run_cancelled_at_a_random_moment_leaves_nothing(
    target: Target, observer: asyncpg.Connection
) -> None:
    chance = random.Random(3)
    for _ in range(10):
        run = asyncio.create_task(run_drill(SCALE.spec(target.limits), target))
        await asyncio.wait({run}, timeout=chance.uniform(0, 0.3))
        run.cancel()
        await asyncio.wait({run}, timeout=chance.uniform(0, 0.01))
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

        await assert_nothing_left(observer)


async def test_reaching_the_time_limit_fails_and_names_who_has_no_answer(
    target: Target, observer: asyncpg.Connection
) -> None:
    async def hang(context: DrillContext, _parameters: Parameters) -> list[Check]:
        await context.create("HELD", 1)
        async with context.observer() as inside, inside.session() as session:
            await session.connection.exec_driver_sql(
                f"SELECT FROM couponctl_drill_{context.run_id}.coupons FOR UPDATE"
            )
            await context.storm("HELD", ["waits for ever"])
        return []

    report = await run_drill(_drill(hang).spec(target.limits, {"timeout": 0.3}), target)

    assert report.verdict is Verdict.FAIL
    assert report.broken[0].promise == "the attack ends within 0.3 s"
    assert "waits for ever" in report.broken[0].observed
    await assert_nothing_left(observer)


async def test_a_drill_that_measured_nothing_is_inconclusive(target: Target) -> None:
    async def do_nothing(_arena: DrillContext, _parameters: Parameters) -> list[Check]:
        return [equals("one", "one is one", 1, 1)]

    assert (await run_drill(_drill(do_nothing).spec(target.limits), target)).verdict is Verdict.INCONCLUSIVE


async def test_a_server_lost_in_the_middle_is_inconclusive_and_its_schema_is_found_later(
    server: Server, limits: Limits, short_path: Path, observer: asyncpg.Connection
) -> None:
    async with wire_proxy(server) as proxy:

        async def lose_the_server(context: DrillContext, _parameters: Parameters) -> list[Check]:
            await context.create("LOST", 5)
            await context.storm("LOST", ["a", "b"])
            await proxy.cut()
            return []

        report = await run_drill(_drill(lose_the_server).spec(limits), Target(proxy.server, limits))

    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.left_behind == f"couponctl_drill_{report.run_id}"
    async with open_database(server, limits, application="couponctl/test") as database:
        await until(lambda: _running(database), [False])
        await remove_all(database, await leftovers(database))
    await assert_nothing_left(observer)


async def test_a_running_drill_is_no_leftover(target: Target, server: Server, limits: Limits) -> None:
    seen: list[Any] = []

    async def look(context: DrillContext, _parameters: Parameters) -> list[Check]:
        async with open_database(server, limits, application="couponctl/test") as database:
            seen.extend(await leftovers(database))
        return []

    report = await run_drill(_drill(look).spec(target.limits), target)

    assert [(one.schema, one.running) for one in seen] == [(f"couponctl_drill_{report.run_id}", True)]


async def test_a_server_that_is_not_there_is_an_error_and_no_report(target: Target, short_path: Path) -> None:
    nowhere = replace(target.server, hosts=(replace(target.server.hosts[0], host=str(short_path)),))

    with pytest.raises(Unreachable):
        await run_drill(FLASH_SALE.spec(target.limits), replace(target, server=nowhere))


async def _running(database: Database) -> list[bool]:
    return [one.running for one in await leftovers(database)]


def _drill(attack: Any) -> Drill[Parameters]:
    return Drill("test", "a test", "nothing", "nothing", Parameters, attack)
