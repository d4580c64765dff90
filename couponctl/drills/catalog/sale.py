"""Sales: many users, few units, all at the same instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, update

from couponctl.drills.catalog.other_client import sell_beside_another
from couponctl.drills.check import Check, all_of, equals, no_other, none_of
from couponctl.drills.context import service_call
from couponctl.drills.drill import Drill, Parameters, parameter
from couponctl.errors import CouponExists, RefusedByDatabase
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Executable

    from couponctl.drills.context import DrillContext
    from couponctl.postgres.database import Database

COUPON = "FLASH"
SPARE = "SPARE"
_LOAD_ONLY = "its own schema and pool; load on the server while it lasts"


@dataclass(frozen=True, kw_only=True)
class Sale(Parameters):
    n: int = parameter(50, "users who claim at the same instant")
    stock: int = parameter(5, "units on sale")


@dataclass(frozen=True, kw_only=True)
class Stampede(Sale):
    n: int = parameter(100, "users who claim at the same instant")
    stock: int = parameter(1, "units on sale")


@dataclass(frozen=True, kw_only=True)
class OversellGuard(Sale):
    n: int = parameter(100, "users who claim at the same instant")
    stock: int = parameter(10, "units on sale")


@dataclass(frozen=True, kw_only=True)
class Scale(Sale):
    n: int = parameter(100, "users who claim at the same instant")
    stock: int = parameter(None, "units on sale; default a tenth of n")
    timeout: float = parameter(
        None,
        "seconds after which the drill is aborted; default 60, from 500 users on 120",
        at_least=0.1,
    )

    @classmethod
    def _derived(cls, given: Mapping[str, float]) -> dict[str, float]:
        n = int(given.get("n", cls.n))
        return {"stock": max(1, n // 10), "timeout": 60.0 if n < 500 else 120.0}


async def sell(context: DrillContext, sale: Sale) -> list[Check]:
    """Sell one coupon, and check the answers to its users."""
    await context.create(COUPON, sale.stock)
    await context.storm(COUPON, [f"user-{number}" for number in range(1, sale.n + 1)])
    ledger = await context.ledger(COUPON)
    outcomes = context.journal.tally()
    claimed = outcomes.pop(Outcome.CLAIMED, 0)
    sold_out = outcomes.pop(Outcome.SOLD_OUT, 0)
    winners = min(sale.n, sale.stock)
    in_order = _served_in_order(context, sale) if context.service.strategy.max_per_coupon == 1 else []
    return [
        *in_order,
        equals("stock-claimed", "exactly the stock is claimed", winners, claimed),
        equals("others-sold-out", 'all other users get "sold out"', sale.n - winners, sold_out),
        no_other(outcomes),
        equals("remaining", "remaining units", sale.stock - winners, ledger.coupon.remaining_amount),
        equals("distinct-users", "distinct users in the ledger", winners, len(set(ledger.claimed_by))),
    ]


def _served_in_order(context: DrillContext, sale: Sale) -> list[Check]:
    """Check that the first users to claim get the units, if claims queue in the client."""
    came = sorted(context.journal.of(COUPON), key=lambda entry: entry.start)
    first = {entry.user_id for entry in came[: sale.stock]}
    passed_over = {entry.user_id for entry in came if entry.user_id in first and not entry.acknowledged}
    return [none_of("first-passed-over", "users who came first and were passed over", passed_over)]


async def _sell_watched(context: DrillContext, sale: Sale) -> list[Check]:
    """Sell one coupon, and check what others see of its rows meanwhile."""
    async with context.watching_rows(COUPON) as watch:
        checks = await sell(context, sale)
    return [*checks, *watch.checks()]


async def _sell_without_starving(context: DrillContext, sale: Sale) -> list[Check]:
    checks = await sell(context, sale)
    failures = context.service.pool_stats().acquire_failures
    return [*checks, equals("acquire-timeouts", "connection-acquire timeouts", 0, failures)]


async def _sell_and_push_below_zero(context: DrillContext, sale: Sale) -> list[Check]:
    checks = [*await _sell_watched(context, sale), *await _ask_again(context, sale)]
    checks += [*await sell_beside_another(context), *await _verify_damage(context)]
    below_zero = {
        "a counter set to -1": -1,
        "a counter lowered by more than is left": coupons.c.remaining_amount - sale.stock - 1,
        "a counter raised above the amount": coupons.c.amount + 1,
    }
    let_through = []
    async with context.observer() as database:
        for what, value in below_zero.items():
            push = update(coupons).where(coupons.c.name == COUPON).values(remaining_amount=value)
            try:
                await _write(database, push)
            except RefusedByDatabase:
                continue
            let_through.append(what)
    refused = "impossible counters refused by the table"
    return [
        *checks,
        all_of("impossible-counters-refused", refused, len(below_zero), let_through),
        *await _push_impossible_claims(context),
    ]


async def _push_impossible_claims(context: DrillContext) -> list[Check]:
    impossible = {"a claim of no coupon": ("NO COUPON", "nobody")}
    for winner in (await context.ledger(COUPON)).claimed_by[:1]:
        impossible["a second claim"] = (COUPON, winner)
    let_through = []
    async with context.observer() as database:
        for what, row in impossible.items():
            try:
                await _write(database, insert(claims).values(row))
            except RefusedByDatabase:
                continue
            let_through.append(what)
    refused = "impossible claims refused by the table"
    return [all_of("impossible-claims-refused", refused, len(impossible), let_through)]


async def _ask_again(context: DrillContext, sale: Sale) -> list[Check]:
    """Create the coupon again after the sale, and let its claimants claim again."""
    before = await context.ledger(COUPON)
    try:
        await context.create(COUPON, sale.stock)
    except CouponExists:
        created = "exists"
    else:
        created = "created"
    again = [await context.claim(COUPON, user) for user in before.claimed_by]
    after = await context.ledger(COUPON)
    rewritten = {claim.user_id for claim in {*before.claims} ^ {*after.claims}}
    return [
        equals(
            "winners-already-claimed",
            'winners who ask again after the sale and get "already claimed"',
            len(again),
            again.count(Outcome.ALREADY_CLAIMED),
        ),
        equals("create-again", "a create of the coupon that is sold gets", "exists", created),
        none_of("claims-rewritten", "claims changed by asking again", rewritten),
    ]


async def _verify_damage(context: DrillContext) -> list[Check]:
    """Check that `verify` finds a claim that bypassed the counter, and a unit taken without a claim."""
    await context.create(SPARE, 2)
    passing_by = {"coupon_name": COUPON, "user_id": "a user whom the counter does not know"}
    own = claims.c.user_id == passing_by["user_id"]
    spare, left = update(coupons).where(coupons.c.name == SPARE), coupons.c.remaining_amount
    async with context.observer() as observer:
        await _write(observer, insert(claims).values(passing_by), spare.values(remaining_amount=left - 1))
        try:
            with service_call("verify"):
                found = (await context.service.verify()).findings
        finally:
            await _write(observer, delete(claims).where(own), spare.values(remaining_amount=left + 1))
    about = sorted({str(finding.coupon) for finding in found})
    return [equals("damage-verified", "coupons in which verify finds damage", [COUPON, SPARE], about)]


async def _write(observer: Database, *statements: Executable) -> None:
    async with observer.session() as session:
        for statement in statements:
            await session.execute(statement)
        await session.commit()


FLASH_SALE = Drill(
    name="flash-sale",
    title="50 users, 5 units, one instant",
    promise='exactly the stock is claimed, all other users get "sold out"',
    blast_radius=_LOAD_ONLY,
    parameters=Sale,
    attack=_sell_watched,
)

STAMPEDE = Drill(
    name="stampede",
    title="100 users want the only unit",
    promise='one gets it, 99 get "sold out", and there are no errors',
    blast_radius=_LOAD_ONLY,
    parameters=Stampede,
    attack=_sell_watched,
)

SCALE = Drill(
    name="scale",
    title="any number of users on a tenth as many units",
    promise="exactly the stock is claimed, without connection-acquire timeouts",
    blast_radius=_LOAD_ONLY,
    parameters=Scale,
    attack=_sell_without_starving,
)

OVERSELL_GUARD = Drill(
    name="oversell-guard",
    title="100 users, 10 units, then direct writes below zero",
    promise="stock never goes below zero: the claim and the table both see to it",
    blast_radius=_LOAD_ONLY,
    parameters=OversellGuard,
    attack=_sell_and_push_below_zero,
)
