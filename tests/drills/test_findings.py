"""An error out of an attack is a finding; what the server is to blame for is none."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg
import pytest

from couponctl import embedded
from couponctl.drills.catalog.breakage import CONNECTION_DROP
from couponctl.drills.catalog.mixed import LEAK_CHECK, MIXED_LOAD
from couponctl.drills.catalog.sale import FLASH_SALE, SCALE
from couponctl.drills.drill import Drill, Parameters, Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.errors import CouponExists, SchemaUnfit
from couponctl.models import Outcome
from couponctl.postgres.libpq import server_at
from couponctl.service import Attempt, CouponService
from tests.support.leftovers import assert_nothing_left
from tests.support.vanishing import VANISHING
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from couponctl.drills.reports.report import Report
    from couponctl.models import Coupon
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


class _RefusesCreates(CouponService):
    async def create(self, name: str, amount: int) -> Coupon:
        raise CouponExists(name)


class _FailsToCreate(CouponService):
    async def create(self, name: str, amount: int) -> Coupon:
        raise KeyError(name)


class _HasUnfitTables(CouponService):
    async def create(self, name: str, amount: int) -> Coupon:
        raise SchemaUnfit


class _FailsToClaim(CouponService):
    async def claim(self, name: str, user_id: str) -> Attempt:
        raise KeyError(user_id)


def broken(report: Report) -> dict[str, Any]:
    return {check.id: check.observed for check in report.broken}


async def test_a_coupon_that_vanishes_in_the_sale_is_a_failed_check(
    server: Server, limits: Limits, observer: asyncpg.Connection
) -> None:
    await observer.execute(VANISHING)

    report = await run_drill(FLASH_SALE.spec(limits), Target(server, limits))

    assert report.verdict is Verdict.FAIL
    assert broken(report)["coupons-vanished"] == "1: FLASH"
    assert broken(report)["attack-errors"].startswith('1: There is no coupon "FLASH".')
    await assert_nothing_left(observer)


@pytest.mark.parametrize(
    ("service_class", "sentence"),
    [
        (_RefusesCreates, 'A coupon "FLASH" exists already.'),
        (_FailsToCreate, "create raised KeyError"),
        (_HasUnfitTables, "The tables coupons and claims are not of the types"),
    ],
)
async def test_a_create_that_the_service_does_not_make_is_a_failed_check(
    server: Server, limits: Limits, service_class: type[CouponService], sentence: str
) -> None:
    report = await run_drill(FLASH_SALE.spec(limits), Target(server, limits, service_class=service_class))

    assert report.verdict is Verdict.FAIL
    assert broken(report)["attack-errors"].startswith(f"1: {sentence}")


@pytest.mark.parametrize("drill", [FLASH_SALE, MIXED_LOAD], ids=lambda drill: drill.name)
async def test_a_claim_that_raises_is_a_failed_check(
    server: Server, limits: Limits, drill: Drill[Any]
) -> None:
    report = await run_drill(drill.spec(limits), Target(server, limits, service_class=_FailsToClaim))

    assert report.verdict is Verdict.FAIL
    assert "KeyError" in broken(report)["unexpected-errors"]


async def test_a_mistake_in_a_drill_is_not_blamed_on_the_service(
    server: Server, limits: Limits, observer: asyncpg.Connection
) -> None:
    async def stumble(_arena: object, _parameters: Parameters) -> Any:
        raise KeyError

    drill = Drill("test", "a test", "nothing", "nothing", Parameters, stumble)

    with pytest.raises(KeyError):
        await run_drill(drill.spec(limits), Target(server, limits))
    await assert_nothing_left(observer)


class _Crashing(CouponService):
    """Its third claim finds a backend killed, for which the server ends all others too and recovers."""

    claims: ClassVar[int]

    async def claim(self, name: str, user_id: str) -> Attempt:
        type(self).claims += 1
        if self.claims == 3:
            await self._crash()
        return await super().claim(name, user_id)

    async def _crash(self) -> None:
        url = self.database.server.public_url
        victim = await asyncpg.connect(url)
        os.kill(await victim.fetchval("SELECT pg_backend_pid()"), signal.SIGKILL)

        async def recovered() -> bool:
            try:
                await (await asyncpg.connect(url)).close()
            except (OSError, asyncpg.PostgresError):
                return False
            return bool(victim.is_closed())

        await until(recovered, True)


class _Dying(_Crashing):
    """Its third claim finds the server killed, which stays away."""

    postmaster: ClassVar[int]

    async def _crash(self) -> None:
        os.kill(self.postmaster, signal.SIGKILL)


class _LyingCrasher(_Crashing):
    """One user is told of a claim that was never made."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        if user_id == "user-50":
            return Attempt(name, user_id, Outcome.CLAIMED)
        return await super().claim(name, user_id)


@pytest.fixture
def mortal_server(private_base: Path) -> Server:
    """A server that nobody else uses, so that it may crash."""
    embedded.start(private_base)
    status = embedded.status(private_base)
    assert status.pid
    _Dying.postmaster = status.pid
    _Crashing.claims = _Dying.claims = _LyingCrasher.claims = 0
    return server_at(status.url, source="the test")


@pytest.mark.ci
@pytest.mark.parametrize(
    "drill", [SCALE, LEAK_CHECK, CONNECTION_DROP, MIXED_LOAD], ids=lambda drill: drill.name
)
@pytest.mark.parametrize("service_class", [_Crashing, _Dying])
async def test_a_server_that_crashes_leaves_every_drill_inconclusive(
    mortal_server: Server, limits: Limits, drill: Drill[Any], service_class: type[CouponService]
) -> None:
    report = await run_drill(drill.spec(limits), Target(mortal_server, limits, service_class=service_class))

    assert report.verdict is Verdict.INCONCLUSIVE, report.broken
    assert report.attempts


@pytest.mark.ci
async def test_a_crash_excuses_no_lost_claim(mortal_server: Server, limits: Limits) -> None:
    report = await run_drill(SCALE.spec(limits), Target(mortal_server, limits, service_class=_LyingCrasher))

    assert report.verdict is Verdict.FAIL
    assert broken(report)["acknowledged-claims-lost"] == "1: user-50"
    assert "crashed or was restarted" in report.unfinished
