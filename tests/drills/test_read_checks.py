"""What a service answers at rest is held against the ledger, fact by fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from couponctl.drills.journal import Entry, Ledger
from couponctl.drills.read_checks import clock_checks, created_checks, sequence_checks
from couponctl.models import Claim, Coupon, Outcome

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NO_ZONE = (BEGAN + SECOND).replace(tzinfo=None)

HONEST = Ledger(Coupon("X", 2, 1, BEGAN), (Claim("alice", BEGAN + SECOND),), BEGAN + SECOND)


def test_what_was_made_within_the_drill_holds() -> None:
    assert [check.observed for check in clock_checks(HONEST, BEGAN)] == [0]


@pytest.mark.parametrize(
    ("ledger", "found"),
    [
        (replace(HONEST, claims=(Claim("alice", BEGAN - SECOND),)), "1: claim of alice"),
        (replace(HONEST, claims=(Claim("alice", BEGAN + 2 * SECOND),)), "1: claim of alice"),
        (replace(HONEST, coupon=Coupon("X", 2, 1, BEGAN - SECOND)), "1: the coupon"),
        (replace(HONEST, coupon=Coupon("X", 2, 1, None)), "1: the coupon"),
        (replace(HONEST, claims=(Claim("alice", None),)), "1: claim of alice"),
        (replace(HONEST, claims=(Claim("alice", NO_ZONE),)), "1: claim of alice"),
    ],
)
def test_times_before_and_after_it_are_found(ledger: Ledger, found: str) -> None:
    assert [check.observed for check in clock_checks(ledger, BEGAN)] == [found]


def won(user: str, start: float, end: float) -> Entry:
    return Entry("X", user, start, start, end, Outcome.CLAIMED)


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (BEGAN + 2 * SECOND, 0),
        (BEGAN + SECOND, "1: bob"),
        (BEGAN, "1: bob"),
    ],
)
def test_who_claims_after_an_answer_to_another_has_the_later_time(second: datetime, found: object) -> None:
    ledger = replace(HONEST, claims=(*HONEST.claims, Claim("bob", second)))
    one_after_the_other = [won("alice", 0.0, 1.0), won("bob", 1.5, 2.0)]
    at_once = [won("alice", 0.0, 1.0), won("bob", 0.5, 2.0)]

    assert [check.observed for check in sequence_checks(one_after_the_other, ledger)] == [found]
    assert [check.observed for check in sequence_checks(at_once, ledger)] == [0]


def test_a_create_is_held_against_the_coupon_before_its_claims() -> None:
    told = replace(HONEST.coupon, remaining_amount=2)

    assert [check.held for check in created_checks(told, HONEST.coupon)] == [True]
    assert [check.held for check in created_checks(HONEST.coupon, HONEST.coupon)] == [False]
