"""Many claims on one coupon under one lock and one commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, String, bindparam, case, exists, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from couponctl.models import Outcome
from couponctl.tables import claims, coupons

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from couponctl.database import Database

_NAME = bindparam("this_coupon", type_=String)
_USERS = bindparam("these_users", type_=ARRAY(String))
_ENOUGH = bindparam("enough", type_=Integer)

# The insert reads the locked row, the decrement counts what was inserted: as in a claim of one. It does
# nothing where the stock is not enough for all, for then the order of arrival decides.
_locked = (
    select(coupons.c.name, coupons.c.remaining_amount)
    .where(coupons.c.name == _NAME, coupons.c.remaining_amount > 0)
    .with_for_update()
    .cte("locked")
)
_users = func.unnest(_USERS).column_valued("this_user")
_won = (
    insert(claims)
    .from_select(
        ["coupon_name", "user_id"],
        select(_locked.c.name, _users).where(_locked.c.remaining_amount >= _ENOUGH),
    )
    .on_conflict_do_nothing()
    .returning(claims.c.user_id)
    .cte("won")
)
_number_won = select(func.count()).select_from(_won).scalar_subquery()
_taken = (
    update(coupons)
    .where(coupons.c.name == _NAME, exists(select(_won.c.user_id)))
    .values(remaining_amount=coupons.c.remaining_amount - _number_won)
    .cte("taken")
)
_claim_batch = select(
    select(_locked.c.remaining_amount).scalar_subquery().label("locked"),
    select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).scalar_subquery().label("seen"),
    _number_won.label("number_won"),
    # Their names only where somebody had claimed before; mostly all win, and the names are known here.
    case(
        (
            _number_won < func.cardinality(_USERS),
            select(func.array_agg(_won.c.user_id)).scalar_subquery(),
        )
    ).label("won"),
).add_cte(_taken)

_claimed_before = select(func.array_agg(claims.c.user_id)).where(
    claims.c.coupon_name == _NAME, claims.c.user_id == func.any(_USERS)
)

_lock_coupon = select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).with_for_update()

_insert_claims = (
    insert(claims)
    .from_select(["coupon_name", "user_id"], select(_NAME, _users))
    .on_conflict_do_nothing()
    .returning(claims.c.user_id)
)

_take = (
    update(coupons)
    .where(coupons.c.name == _NAME)
    .values(remaining_amount=coupons.c.remaining_amount - bindparam("number"))
)


async def _of_nobody() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Earlier:
    """Who came before a batch and has no answer yet: the last units are theirs, if they want them."""

    users: int = 0
    """How many, at most."""
    answered: Callable[[], Awaitable[object]] = _of_nobody
    """Waits until all of them are."""


NOBODY = Earlier()


async def claim_batch(
    database: Database,
    name: str,
    users: Sequence[str],
    sent: Callable[[], None] = lambda: None,
    earlier: Earlier = NOBODY,
) -> list[Outcome]:
    """An answer for each of these users, in their order, which also decides who gets the last units.

    A user who is named again hears what one hears who claims again. `sent` is called when the batch has
    its connection. Raises as `Database.direct` does; then nothing was claimed, or, where the outcome is
    unknown, all or nothing.
    """
    distinct = tuple(dict.fromkeys(users))
    who = {"this_coupon": name, "these_users": distinct, "enough": earlier.users + len(distinct)}
    answers = await _all_at_once(database, who, sent)
    if answers is None:
        await earlier.answered()
        answers = await _share_the_last(database, name, distinct)
    if len(distinct) == len(users):
        return [answers[user] for user in users]
    return list(_with_repetitions(users, answers))


def _with_repetitions(users: Iterable[str], answers: Mapping[str, Outcome]) -> Iterable[Outcome]:
    met: set[str] = set()
    for user in users:
        again = user in met and answers[user] is Outcome.CLAIMED
        met.add(user)
        yield Outcome.ALREADY_CLAIMED if again else answers[user]


async def _all_at_once(
    database: Database, who: Mapping[str, Any], sent: Callable[[], None]
) -> dict[str, Outcome] | None:
    """The answers where there is enough for everybody, or nothing at all; None where some must be chosen."""
    users: Sequence[str] = who["these_users"]
    async with database.direct(coupon=who["this_coupon"]) as direct:
        sent()
        locked, seen, number_won, won = await direct.fetch_row_committing(_claim_batch, who)
        if number_won == len(users):
            return dict.fromkeys(users, Outcome.CLAIMED)
        if locked is not None:
            if locked < who["enough"]:
                return None
            return _split(users, won or (), Outcome.CLAIMED, Outcome.ALREADY_CLAIMED)
        if seen is None:
            return dict.fromkeys(users, Outcome.NOT_FOUND)
        # Sold out, perhaps while this waited for the lock: then its snapshot is older than that.
        (claimed_before,) = await direct.fetch_row(_claimed_before, who)
        return _split(users, claimed_before or (), Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)


async def _share_the_last(database: Database, name: str, users: Sequence[str]) -> dict[str, Outcome]:
    """Fewer units than users: who claimed before is found under the lock, and wants none of them."""
    who = {"this_coupon": name, "these_users": users}
    async with database.session(coupon=name) as session:
        remaining = (await session.execute(_lock_coupon, {"this_coupon": name})).scalar_one_or_none()
        if remaining is None:
            return dict.fromkeys(users, Outcome.NOT_FOUND)
        before = set((await session.execute(_claimed_before, who)).scalar_one() or ())
        first = [user for user in users if user not in before][:remaining]
        won: set[str] = set()
        if first:
            inserted = await session.execute(_insert_claims, {**who, "these_users": first})
            won.update(inserted.scalars())
            await session.execute(_take, {"this_coupon": name, "number": len(won)})
        await session.commit()
    answers = _split(users, before, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)
    return answers | _split(first, won, Outcome.CLAIMED, Outcome.ALREADY_CLAIMED)


def _split(users: Iterable[str], some: Iterable[str], theirs: Outcome, others: Outcome) -> dict[str, Outcome]:
    """One answer for some of the users, another for the others."""
    some = frozenset(some)
    return {user: theirs if user in some else others for user in users}
