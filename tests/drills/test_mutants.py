"""Drills have teeth: each claim that is wrong on purpose makes the drills FAIL that should catch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.drill import Verdict
from couponctl.drills.duplicates import DOUBLE_DIP
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.sale import FLASH_SALE, SCALE
from tests.mutants import CHECK_THEN_ACT, DECREMENT_FIRST

if TYPE_CHECKING:
    from couponctl.claims import Strategy
    from couponctl.drills.drill import Drill
    from couponctl.libpq import Server
    from couponctl.settings import Limits

pytestmark = pytest.mark.ci

KILLERS = [
    (CHECK_THEN_ACT, FLASH_SALE, "remaining = amount - claims in the ledger"),
    (CHECK_THEN_ACT, SCALE, "remaining = amount - claims in the ledger"),
    (CHECK_THEN_ACT, DOUBLE_DIP, "no attempt ends in an error that nobody expects"),
    (DECREMENT_FIRST, DOUBLE_DIP, "remaining = amount - claims in the ledger"),
]


@pytest.mark.parametrize(
    ("mutant", "drill", "promise"), KILLERS, ids=lambda each: getattr(each, "name", None)
)
async def test_a_mutant_is_caught(
    mutant: Strategy, drill: Drill[Any], promise: str, server: Server, limits: Limits
) -> None:
    report = await run_drill(drill, Target(server, limits, mutant))

    assert report.verdict is Verdict.FAIL
    assert promise in [check.promise for check in report.broken]
