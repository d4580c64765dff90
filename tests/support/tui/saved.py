"""Kept runs written by hand, each at a moment of its own, as another session would have left them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from couponctl.drills.check import Check, equals
from couponctl.drills.reports.store import SavedRun
from couponctl.models import Outcome
from tests.support.reports import entry, report
from tests.support.tui.scenes import NOON

if TYPE_CHECKING:
    from couponctl.drills.reports.report import Report
    from tests.support.tui.scenes import Scene

HELD = (
    equals("sold-once", "no coupon is sold twice", 50, 50),
    equals("all-sold", "every unit is sold", 0, 0),
    equals("claims-once", "nobody claims twice", "none", "none"),
    equals("pool-idle", "the pool is idle again", 0, 0),
)
BROKEN = (
    Check("sold-once", "no coupon is sold twice", 50, 53, held=False),
    *HELD[1:],
)


def sale_report(**more: Any) -> Report:
    """Fifty winners and four hundred and fifty who came too late."""
    won = [entry(f"user-{number:03}", Outcome.CLAIMED, 20.0 + number) for number in range(50)]
    lost = [entry(f"user-{number:03}", Outcome.SOLD_OUT, 60.0 + number / 4) for number in range(50, 500)]
    return report(*won, *lost, **({"checks": HELD} | more))


def kept(run_id: str, *, minutes_ago: int, made_by: str = "cli", **more: Any) -> SavedRun:
    at = NOON - timedelta(minutes=minutes_ago)
    return SavedRun(at, made_by, "3.13.1", "0.1.0", sale_report(run_id=run_id, **more))


def keep(scene: Scene, *runs: SavedRun) -> None:
    """Write the runs where the console looks for them."""
    directory = scene.dependencies.runs.directory
    directory.mkdir(parents=True, exist_ok=True)
    for run in runs:
        (directory / run.file_name).write_text(json.dumps(run.as_json()))
