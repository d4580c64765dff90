"""Duplicates: one user, many claims, all at the same instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.drills.check import Check, equals, no_other
from couponctl.drills.drill import Drill, Parameters, parameter
from couponctl.models import Outcome

if TYPE_CHECKING:
    from couponctl.drills.context import DrillContext

COUPON = "ONCE"
USER = "double-dipper"


@dataclass(frozen=True, kw_only=True)
class Duplicates(Parameters):
    n: int = parameter(10, "claims by the same user at the same instant")
    stock: int = parameter(100, "units on sale")


@dataclass(frozen=True, kw_only=True)
class Violations(Duplicates):
    n: int = parameter(50, "claims by the same user at the same instant")


async def _claim_again_and_again(context: DrillContext, duplicates: Duplicates) -> list[Check]:
    await context.create(COUPON, duplicates.stock)
    async with context.watching_rows(COUPON) as watch:
        await context.storm(COUPON, [USER] * duplicates.n)
    ledger = await context.ledger(COUPON)
    outcomes = context.journal.tally()
    claimed = outcomes.pop(Outcome.CLAIMED, 0)
    already = outcomes.pop(Outcome.ALREADY_CLAIMED, 0)
    return [
        equals("claims-won", "claims won by the user", 1, claimed),
        equals("others-already-claimed", 'all other claims get "already claimed"', duplicates.n - 1, already),
        no_other(outcomes),
        equals("remaining", "remaining units", duplicates.stock - 1, ledger.coupon.remaining_amount),
        equals("claimants", "claimants", [USER], list(ledger.claimed_by)),
        *watch.checks(),
    ]


DOUBLE_DIP = Drill(
    name="double-dip",
    title="one user clicks ten times",
    promise='one claim is won, the others get "already claimed", and the stock falls by one',
    blast_radius="its own schema and pool",
    parameters=Duplicates,
    attack=_claim_again_and_again,
)

VIOLATION_STORM = Drill(
    name="violation-storm",
    title="one user clicks 50 times",
    promise="one claim in the ledger, and no database error text in any answer",
    blast_radius="its own schema and pool",
    parameters=Violations,
    attack=_claim_again_and_again,
)
