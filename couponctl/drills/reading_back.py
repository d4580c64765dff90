"""What the service answers at rest, against the ledger: its coupon, its claimants, each claim, the list."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from couponctl.drills.check import Check, none_of
from couponctl.drills.context import service_call
from couponctl.ledger.tables import coupons

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.drills.journal import Ledger
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.service import CouponService

_PAGE = 1000
_ASKED = 5
"""Claimants at either end of the order by name whose claims are asked for one by one."""

_STRANGER = "a user who has claimed nothing"


async def reading_checks(service: CouponService, ledger: Ledger) -> list[Check]:
    """Hold `show`, `find_claim` and `list` against the ledger of one coupon. Raises what they raise."""
    with service_call("show"):
        shown, claimants = await _show(service, ledger.coupon.name)
    with service_call("find_claim"):
        misjudged = [user async for user in _misjudged(service, ledger)]
    with service_call("list"):
        listed = [coupon async for coupon in _list(service, ledger.coupon.name)]
    return [
        none_of("show-wrong", "facts that show tells otherwise", _differences(shown, ledger.coupon)),
        none_of(
            "claimants-wrong", "claimants that show leaves out or adds", claimants ^ {*ledger.claimed_by}
        ),
        none_of("find-claim-wrong", "users whose claim is told otherwise", misjudged),
        none_of("list-wrong", "coupons that list tells otherwise", _unlike(listed, ledger.coupon)),
    ]


async def _show(service: CouponService, name: str) -> tuple[Coupon, set[str]]:
    page = await service.show(name, limit=_PAGE)
    claimants = {*page.claimed_by}
    while page.next is not None:
        page = await service.show(name, limit=_PAGE, after=page.next)
        claimants |= {*page.claimed_by}
    return page.coupon, claimants


async def _misjudged(service: CouponService, ledger: Ledger) -> AsyncIterator[str]:
    claims = dict(zip(ledger.claimed_by, ledger.claimed_at, strict=True))
    asked = {*ledger.claimed_by[:_ASKED], *ledger.claimed_by[-_ASKED:], _STRANGER}
    for user in sorted(asked):
        found = await service.find_claim(ledger.coupon.name, user)
        if (found and found.created_at) != claims.get(user):
            yield user


async def _list(service: CouponService, name: str) -> AsyncIterator[Coupon]:
    page = await service.list(matching=name, limit=_PAGE)
    for coupon in page.coupons:
        if coupon.name == name:
            yield coupon


async def names_of_coupons(database: Database) -> set[str]:
    """All that the ledger holds."""
    async with database.session("AUTOCOMMIT") as session:
        return {*(await session.execute(select(coupons.c.name))).scalars()}


def _differences(told: Coupon, ledger: Coupon) -> list[str]:
    facts = ("name", "amount", "remaining_amount", "created_at")
    pairs = {fact: (getattr(told, fact), getattr(ledger, fact)) for fact in facts}
    return [f"{fact} {mine}, not {theirs}" for fact, (mine, theirs) in pairs.items() if mine != theirs]


def _unlike(listed: list[Coupon], ledger: Coupon) -> list[str]:
    return [] if listed == [ledger] else [ledger.name]


def clock_checks(ledger: Ledger, began: datetime) -> list[Check]:
    """Everything in the ledger was made within the drill, by the server's own clock."""
    made = {f"claim of {user}": at for user, at in zip(ledger.claimed_by, ledger.claimed_at, strict=True)}
    created = ledger.coupon.created_at
    outside = [what for what, at in made.items() if not began <= at <= ledger.read_at]
    if not isinstance(created, datetime) or not began <= created <= ledger.read_at:
        outside.append("the coupon")
    return [none_of("times-outside-the-drill", "creation times outside the drill", outside)]
