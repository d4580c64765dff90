"""What a drill does out of sight is in the log, on real PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.catalog.sale import FLASH_SALE, SCALE
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.faults.database import Backends, held_row
from couponctl.errors import Unreachable
from couponctl.postgres.database import open_database
from couponctl.sandbox import schema
from couponctl.service import CouponService
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


async def test_a_drill_from_its_beginning_to_its_end(
    server: Server, limits: Limits, logged: Callable[[str], list[str]]
) -> None:
    report = await run_drill(FLASH_SALE.spec(limits, {"n": 4, "stock": 2}, seed=7), Target(server, limits))

    begun, ended = logged("drills.engine")
    assert begun == f"INFO Drill flash-sale {report.run_id} begins, seed 7, strategy statement."
    assert ended.startswith(f"INFO Drill {report.run_id} ended in ")
    assert ended.endswith(": PASS.")
    name = f"couponctl_drill_{report.run_id}"
    told = [line for line in logged("sandbox.schema") if "backends" not in line]
    assert told == [f"INFO Schema {name} was made.", f"INFO Schema {name} was dropped."]
    assert logged("ledger.schema") == ["INFO Tables made: 2; found: 0."]


async def test_an_attack_that_takes_too_long(
    server: Server, limits: Limits, logged: Callable[[str], list[str]]
) -> None:
    spec = SCALE.spec(limits, {"n": 2000, "timeout": 0.2})
    report = await run_drill(spec, Target(server, limits))

    assert f"WARNING The attack of drill {report.run_id} was broken off after 0.2 s." in logged(
        "drills.engine"
    )


async def test_backends_that_a_drill_terminates(
    server: Server,
    limits: Limits,
    database: Database,
    coupon: Coupon,
    observer: asyncpg.Connection,
    logged: Callable[[str], list[str]],
) -> None:
    async with open_database(server, limits, application="couponctl/other") as other:
        async with held_row(other, coupon.name):
            claim = asyncio.create_task(CouponService(database).claim(coupon.name, "alice"))
            backends = Backends(other, "couponctl/test")
            await until(backends.waiting, 1)
            await backends.terminate_waiting()
        await claim

    assert logged("drills.faults.database") == [
        "INFO The drill has terminated 1 of its backends, on purpose."
    ]


async def test_schemas_that_are_left_over_and_left_behind(
    database: Database,
    other_session: asyncpg.Connection,
    logged: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await other_session.execute("CREATE SCHEMA couponctl_drill_deadbeef")
    await schema.remove_all(database, await schema.leftovers(database))

    async def unreachable(*_arguments: object) -> None:
        raise Unreachable("gone")

    monkeypatch.setattr(schema, "_drop", unreachable)
    with pytest.raises(Unreachable):
        await schema._clean_up(database, "0badcafe", schema.OnServer())

    assert logged("sandbox.schema") == [
        "INFO Schema couponctl_drill_deadbeef was left by a run that has died.",
        "INFO Schema couponctl_drill_deadbeef was dropped.",
        "WARNING Schema couponctl_drill_0badcafe is left on the server: Unreachable.",
    ]


class GoneSale(CouponService):
    """Loses its server at the first word."""

    async def create(self, name: str, amount: int) -> Coupon:
        raise Unreachable(f"no more {name}")


async def test_a_server_that_is_lost_under_the_attack(
    server: Server, limits: Limits, logged: Callable[[str], list[str]]
) -> None:
    report = await run_drill(FLASH_SALE.spec(limits), Target(server, limits, service_class=GoneSale))
    _, aborted, ended = logged("drills.engine")

    assert aborted == f"WARNING The attack of drill {report.run_id} was aborted: Unreachable."
    assert ended.endswith(": INCONCLUSIVE.")
