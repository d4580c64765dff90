"""Every drill of the catalogue, against real PostgreSQL, as CI runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.words import report_lines

if TYPE_CHECKING:
    from couponctl.claims import Strategy
    from couponctl.drills.drill import Drill
    from couponctl.libpq import Server
    from couponctl.settings import Limits

pytestmark = pytest.mark.ci


@pytest.fixture
def target(server: Server, limits: Limits, strategy: Strategy) -> Target:
    return Target(server, limits, strategy)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
async def test_drill_passes_ten_times_in_a_row(drill: Drill[Any], target: Target) -> None:
    reports = [await run_drill(drill, target) for _ in range(10)]

    for report in reports:
        assert report.verdict is Verdict.PASS, "\n".join(report_lines(report))
        assert report.outcomes == reports[0].outcomes
