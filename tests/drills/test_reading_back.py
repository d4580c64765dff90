"""What a service answers at rest is held against the ledger, fact by fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from couponctl.drills.journal import Ledger
from couponctl.drills.reading_back import clock_checks
from couponctl.models import Coupon

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

HONEST = Ledger(Coupon("X", 2, 1, BEGAN), ("alice",), (BEGAN + SECOND,), BEGAN + SECOND)


def test_what_was_made_within_the_drill_holds() -> None:
    assert [check.observed for check in clock_checks(HONEST, BEGAN)] == [0]


@pytest.mark.parametrize(
    ("ledger", "found"),
    [
        (replace(HONEST, claimed_at=(BEGAN - SECOND,)), "1: claim of alice"),
        (replace(HONEST, claimed_at=(BEGAN + 2 * SECOND,)), "1: claim of alice"),
        (replace(HONEST, coupon=Coupon("X", 2, 1, BEGAN - SECOND)), "1: the coupon"),
        (replace(HONEST, coupon=Coupon("X", 2, 1, None)), "1: the coupon"),
    ],
)
def test_times_before_and_after_it_are_found(ledger: Ledger, found: str) -> None:
    assert [check.observed for check in clock_checks(ledger, BEGAN)] == [found]
