"""Every drill of the catalog, against real PostgreSQL, as CI runs it."""

from __future__ import annotations

import asyncio
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.ledger.claims import STATEMENT
from couponctl.models import Outcome
from tests.support.leftovers import assert_nothing_left

if TYPE_CHECKING:
    import asyncpg

    from couponctl.drills.drill import Drill
    from couponctl.drills.reports.report import Report
    from couponctl.ledger.claims import Strategy
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

pytestmark = pytest.mark.ci

CLAIMED, ALREADY_CLAIMED, SOLD_OUT = Outcome.CLAIMED, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT

EXACT = {
    "flash-sale": {CLAIMED: 5, SOLD_OUT: 45},
    "double-dip": {CLAIMED: 1, ALREADY_CLAIMED: 9},
    "scale": {CLAIMED: 10, SOLD_OUT: 90},
    "stampede": {CLAIMED: 1, SOLD_OUT: 99},
    "violation-storm": {CLAIMED: 1, ALREADY_CLAIMED: 49},
    "oversell-guard": {CLAIMED: 11, ALREADY_CLAIMED: 10, SOLD_OUT: 100},
    "pool-exhaustion": {CLAIMED: 10, Outcome.POOL_EXHAUSTED: 10},
}
"""Drills of which no interleaving may change the numbers: `statement` runs these eight times."""


@pytest.fixture
def target(server: Server, limits: Limits) -> Target:
    return Target(server, limits)


def failure(report: Report) -> str:
    """What a failing drill says: its broken promises, expected beside observed, and its seed."""
    broken = [f"{c.promise}: expected {c.expected}, observed {c.observed}" for c in report.broken]
    return "\n".join([f"{report.drill} {report.verdict}, seed {report.seed}", *broken, report.unfinished])


def assert_short_ids_of_one_check_each(report: Report) -> None:
    ids = [check.id for check in report.checks]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", each) for each in ids)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
async def test_drill(
    drill: Drill[Any], target: Target, strategy: Strategy, observer: asyncpg.Connection
) -> None:
    spec = drill.spec(target.limits, strategy=strategy)
    for _ in range(8 if drill.name in EXACT and strategy is STATEMENT else 1):
        report = await run_drill(spec, target)

        assert report.verdict is Verdict.PASS, failure(report)
        assert report.outcomes == EXACT.get(drill.name, report.outcomes)
        assert_short_ids_of_one_check_each(report)
    await assert_nothing_left(observer)


@pytest.mark.parametrize(("n", "won"), [(100, 10), (200, 20), (500, 50)])
async def test_scale_is_exact_at_every_size(n: int, won: int, target: Target, strategy: Strategy) -> None:
    (scale,) = (drill for drill in DRILLS if drill.name == "scale")

    report = await run_drill(scale.spec(target.limits, {"n": n}, strategy=strategy), target)

    assert report.verdict is Verdict.PASS, failure(report)
    assert report.outcomes == {CLAIMED: won, SOLD_OUT: n - won}
    assert report.pool is not None
    assert report.pool.acquire_failures == 0


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
async def test_drill_broken_off_at_random_moments_leaves_nothing(
    drill: Drill[Any], server: Server, limits: Limits, observer: asyncpg.Connection
) -> None:
    chance = random.Random(drill.name)
    for _ in range(10):
        run = asyncio.create_task(run_drill(drill.spec(limits), Target(server, limits)))
        await asyncio.wait({run}, timeout=chance.uniform(0.02, 0.6))
        run.cancel()
        await asyncio.wait({run}, timeout=chance.uniform(0, 0.02))
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

        await assert_nothing_left(observer)
