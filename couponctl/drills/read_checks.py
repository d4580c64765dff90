"""What the service reads back at rest, against the ledger: coupons, claimants, claims, lists and orders."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from couponctl.drills.check import Check, none_of
from couponctl.drills.context import service_call
from couponctl.ledger.tables import coupons
from couponctl.models import Outcome, Sort

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date

    from couponctl.drills.journal import Entry, Ledger
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.service import CouponService

_PAGE = 1000
_PAGES = 3
"""Even what fits one page is requested in about this many, so that errors between pages show."""
_ASKED = 5
"""Claimants at either end of the order by name to look up one by one, and newest claimants to read."""

_OTHERS = 2
"""Users to look up who have no claim on the coupon: refused, or claimants of another one."""

_NEVER = datetime.min.replace(tzinfo=UTC)

_STRANGER = "a user who has claimed nothing"


async def reading_checks(service: CouponService, ledger: Ledger, users: Collection[str]) -> list[Check]:
    """Compare what the service says of one coupon with its ledger. Raises what the service raises.

    `users` are all users who attempted a claim.
    """
    with service_call("show"):
        shown, claimants = await _show(service, ledger)
    with service_call("find_claim"):
        misjudged = [user async for user in _misjudged(service, ledger, users)]
    with service_call("list"):
        listed = [coupon async for coupon in _list(service, ledger.coupon.name)]
    with service_call("newest_claimants"):
        newest = await service.newest_claimants(ledger.coupon.name, limit=_ASKED)
    return [
        none_of("show-wrong", "facts that are wrong in show", _differences(shown, ledger.coupon)),
        none_of("claimants-wrong", "claimants that show omits or adds", {*claimants} ^ {*ledger.claimed_by}),
        none_of(
            "claimants-misplaced",
            "claimants that show repeats or misplaces",
            _misplaced(claimants, ledger.claimed_by),
        ),
        none_of("find-claim-wrong", "users whose claim is wrong in find_claim", misjudged),
        none_of("list-wrong", "coupons that are wrong in list", _unlike(listed, ledger.coupon)),
        none_of(
            "newest-wrong",
            "users wrongly among the newest claimants",
            _misplaced([claim.user_id for claim in newest], _newest(ledger)),
        ),
    ]


def created_checks(told: Coupon, ledger: Coupon) -> list[Check]:
    """Compare the answer of `create` with the ledger, in which claims have taken units since."""
    as_created = replace(ledger, remaining_amount=ledger.amount)
    return [none_of("create-wrong", "facts that are wrong in create", _differences(told, as_created))]


async def _show(service: CouponService, ledger: Ledger) -> tuple[Coupon, list[str]]:
    limit = _page_of(len(ledger.claimed_by))
    page = await service.show(ledger.coupon.name, limit=limit)
    claimants = [*page.claimed_by]
    while page.next is not None and len(claimants) <= len(ledger.claimed_by):
        page = await service.show(ledger.coupon.name, limit=limit, after=page.next)
        claimants += page.claimed_by
    return page.coupon, claimants


def _page_of(rows: int) -> int:
    return min(_PAGE, max(2, rows // _PAGES))


def _misplaced(told: Sequence[str], right: Sequence[str]) -> list[str]:
    return [user for user, other in zip(told, right, strict=False) if user != other] + [*told[len(right) :]]


def _newest(ledger: Ledger) -> list[str]:
    # Claims of the same time stay in the order of the database, as they are in the ledger.
    newest_first = sorted(ledger.claims, key=lambda claim: _moment(claim.created_at), reverse=True)
    return [claim.user_id for claim in newest_first[:_ASKED]]


async def _misjudged(service: CouponService, ledger: Ledger, users: Collection[str]) -> AsyncIterator[str]:
    claims = {claim.user_id: claim for claim in ledger.claims}
    others = sorted({*users} - {*claims})[:_OTHERS]
    asked = {*ledger.claimed_by[:_ASKED], *ledger.claimed_by[-_ASKED:], *others, _STRANGER}
    for user in sorted(asked):
        if await service.find_claim(ledger.coupon.name, user) != claims.get(user):
            yield user


async def _list(service: CouponService, name: str) -> AsyncIterator[Coupon]:
    page = await service.list(matching=name, limit=_PAGE)
    for coupon in page.coupons:
        if coupon.name == name:
            yield coupon


async def names_of_coupons(database: Database) -> list[str]:
    """Return the names of all coupons in the ledger, in its own order."""
    async with database.session("AUTOCOMMIT") as session:
        return [*(await session.execute(select(coupons.c.name).order_by(coupons.c.name))).scalars()]


def _moment(at: date | None) -> datetime:
    """Return the time; anything else, which a database may hold, as a time before all others."""
    return at if isinstance(at, datetime) and at.tzinfo else _NEVER


_ORDERS: dict[Sort, Callable[[Coupon], Any]] = {
    Sort.NAME: lambda _: 0,
    Sort.REMAINING: lambda coupon: coupon.remaining_amount,
    Sort.CLAIMED: lambda coupon: -coupon.claimed_amount,
    Sort.AMOUNT: lambda coupon: -coupon.amount,
    Sort.CREATED: lambda coupon: -_moment(coupon.created_at).timestamp(),
}


async def order_checks(service: CouponService, known: Mapping[str, Coupon], names: list[str]) -> list[Check]:
    """Compare every order of `list` with the coupons of the ledger; `names` are in the order by name."""
    by_name = [known[name] for name in names if name in known]
    wrong = []
    with service_call("list"):
        for sort, key in _ORDERS.items() if len(by_name) > 1 else ():
            listed = [name for name in await _names_listed(service, sort, len(names)) if name in known]
            if listed != [coupon.name for coupon in sorted(by_name, key=key)]:
                wrong.append(sort.value)
    return [none_of("list-orders-wrong", "orders of list that are wrong", wrong)]


async def _names_listed(service: CouponService, sort: Sort, number: int) -> list[str]:
    limit = _page_of(number)
    page = await service.list(sort=sort, limit=limit)
    listed = [coupon.name for coupon in page.coupons]
    while page.next is not None and len(listed) <= number:
        page = await service.list(sort=sort, limit=limit, after=page.next)
        listed += [coupon.name for coupon in page.coupons]
    return listed


def _differences(told: Coupon, ledger: Coupon) -> list[str]:
    facts = ("name", "amount", "remaining_amount", "created_at")
    pairs = {fact: (getattr(told, fact), getattr(ledger, fact)) for fact in facts}
    return [f"{fact} {mine}, not {theirs}" for fact, (mine, theirs) in pairs.items() if mine != theirs]


def _unlike(listed: list[Coupon], ledger: Coupon) -> list[str]:
    return [] if listed == [ledger] else [ledger.name]


def clock_checks(ledger: Ledger, began: datetime) -> list[Check]:
    """Check that everything in the ledger was made during the drill, by the server's own clock."""
    made = [(f"claim of {claim.user_id}", claim.created_at) for claim in ledger.claims]
    made.append(("the coupon", ledger.coupon.created_at))
    outside = [what for what, at in made if not began <= _moment(at) <= ledger.read_at]
    return [none_of("times-outside-the-drill", "creation times outside the drill", outside)]


def sequence_checks(entries: Sequence[Entry], ledger: Ledger) -> list[Check]:
    """Check that a user who claimed after another user's answer has the later time."""
    return [
        none_of("claims-out-of-order", "claims dated before earlier ones", _dated_before(entries, ledger))
    ]


def _dated_before(entries: Sequence[Entry], ledger: Ledger) -> Iterator[str]:
    at = {claim.user_id: _moment(claim.created_at) for claim in ledger.claims}
    won = [entry for entry in entries if entry.outcome is Outcome.CLAIMED and entry.user_id in at]
    answered = deque(sorted(won, key=lambda entry: entry.end))
    latest: datetime | None = None
    for entry in sorted(won, key=lambda entry: entry.start):
        while answered[0].end < entry.start:
            before = at[answered.popleft().user_id]
            latest = max(latest or before, before)
        if latest and at[entry.user_id] <= latest:
            yield entry.user_id
