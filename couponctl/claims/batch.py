"""Many claims on one coupon under one lock and one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, String, bindparam, case, exists, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from couponctl.errors import RuleViolated
from couponctl.models import Outcome
from couponctl.tables import claims, coupons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from couponctl.database import Database

_NAME = bindparam("this_coupon", type_=String)
_USERS = bindparam("these_users", type_=ARRAY(String))
_NUMBER = bindparam("number", type_=Integer)

_users = func.unnest(_USERS).column_valued("this_user")

# All of them or none: the stock is enough for everybody, and a duplicate fails the statement, which undoes
# it. An INSERT that may meet duplicates (ON CONFLICT) was measured to take a quarter as long again.
_locked = (
    select(coupons.c.name)
    .where(coupons.c.name == _NAME, coupons.c.remaining_amount >= _NUMBER)
    .with_for_update()
    .cte("locked")
)
_won = (
    insert(claims)
    .from_select(["coupon_name", "user_id"], select(_locked.c.name, _users))
    .returning(claims.c.user_id)
    .cte("won")
)
_number_won = select(func.count()).select_from(_won).scalar_subquery()
_taken = (
    update(coupons)
    .where(coupons.c.name == _NAME, exists(select(_locked.c.name)))
    .values(remaining_amount=coupons.c.remaining_amount - _number_won)
    .cte("taken")
)
_claim_for_all = select(
    _number_won.label("number_won"),
    # Their names only where a trigger of the database's own kept some out.
    case((_number_won < _NUMBER, select(func.array_agg(_won.c.user_id)).scalar_subquery())).label("won"),
    select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).scalar_subquery().label("seen"),
).add_cte(_taken)

_claimed_before = select(func.array_agg(claims.c.user_id)).where(
    claims.c.coupon_name == _NAME, claims.c.user_id == func.any(_USERS)
)

# A sold-out coupon is not locked at all.
_lock_coupon = (
    select(coupons.c.remaining_amount)
    .where(coupons.c.name == _NAME, coupons.c.remaining_amount > 0)
    .with_for_update()
)

_find_coupon = select(coupons.c.name).where(coupons.c.name == _NAME)

_insert_claims = (
    insert(claims)
    .from_select(["coupon_name", "user_id"], select(_NAME, _users))
    .on_conflict_do_nothing()
    .returning(claims.c.user_id)
)

_take = (
    update(coupons)
    .where(coupons.c.name == _NAME)
    .values(remaining_amount=coupons.c.remaining_amount - _NUMBER)
)


class Batches:
    """Claims on one coupon, many at a time."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._met_duplicates = False
        """In the last batch; then the next one is likely to have some."""

    async def claim(self, users: Sequence[str], sent: Callable[[], None] = lambda: None) -> list[Outcome]:
        """An answer for each of these users, in their order, which also decides who gets the last units.

        A user who is named again hears what one hears who claims again. `sent` is called whenever the batch
        gets a connection. Raises as `Database.direct` does; then nothing was claimed, or, where the outcome
        is unknown, all or nothing.
        """
        distinct = tuple(dict.fromkeys(users))
        answers = None if self._met_duplicates else await self._treat_alike(distinct, sent)
        if answers is None:
            answers = await self._choose(distinct, sent)
        if len(distinct) == len(users):
            return [answers[user] for user in users]
        return list(_with_repetitions(users, answers))

    async def _treat_alike(
        self, users: Sequence[str], sent: Callable[[], None]
    ) -> Mapping[str, Outcome] | None:
        """One statement, when all get a unit or nobody does; None where one must choose among them."""
        who = {"this_coupon": self._name, "these_users": users, "number": len(users)}
        try:
            async with self._database.direct(coupon=self._name) as direct:
                sent()
                number_won, won, seen = await direct.fetch_row_committing(_claim_for_all, who)
                if number_won == len(users):
                    return dict.fromkeys(users, Outcome.CLAIMED)
                if number_won:
                    return _split(users, won, Outcome.CLAIMED, Outcome.ALREADY_CLAIMED)
                if seen is None:
                    return dict.fromkeys(users, Outcome.NOT_FOUND)
                if seen > 0:
                    return None
                (before,) = await direct.fetch_row(_claimed_before, who)
        except RuleViolated:
            return None
        return _split(users, before or (), Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)

    async def _choose(self, users: Sequence[str], sent: Callable[[], None]) -> Mapping[str, Outcome]:
        """The first who have not claimed before, as far as the units go.

        Who claimed before is found under the lock, and wants none of them.
        """
        who = {"this_coupon": self._name, "these_users": users}
        async with self._database.session(coupon=self._name) as session:
            sent()
            remaining = (await session.execute(_lock_coupon, who)).scalar_one_or_none()
            if remaining is None and (await session.execute(_find_coupon, who)).first() is None:
                return dict.fromkeys(users, Outcome.NOT_FOUND)
            before = set((await session.execute(_claimed_before, who)).scalar_one() or ())
            first = [user for user in users if user not in before][: remaining or 0]
            won: set[str] = set()
            if first:
                inserted = await session.execute(_insert_claims, {**who, "these_users": first})
                won.update(inserted.scalars())
                await session.execute(_take, {**who, "number": len(won)})
            await session.commit()
        self._met_duplicates = bool(before) and remaining is not None
        answers = _split(users, before, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)
        return answers | _split(first, won, Outcome.CLAIMED, Outcome.ALREADY_CLAIMED)


def _with_repetitions(users: Iterable[str], answers: Mapping[str, Outcome]) -> Iterable[Outcome]:
    met: set[str] = set()
    for user in users:
        again = user in met and answers[user] is Outcome.CLAIMED
        met.add(user)
        yield Outcome.ALREADY_CLAIMED if again else answers[user]


def _split(users: Iterable[str], some: Iterable[str], theirs: Outcome, others: Outcome) -> dict[str, Outcome]:
    """One answer for some of the users, another for the others."""
    some = frozenset(some)
    return {user: theirs if user in some else others for user in users}
