"""Many claims on one coupon under one lock and one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Integer, String, bindparam, case, exists, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from couponctl.errors import KeyTaken, RefusedByDatabase
from couponctl.ledger.claims.savepoint import claim_in_savepoints
from couponctl.ledger.tables import claims, coupons
from couponctl.logs import logger
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from couponctl.ledger.claims.plain_tables import PlainTables
    from couponctl.ledger.claims.savepoint import Answer
    from couponctl.postgres.database import Database

_log = logger(__name__)

_NAME = bindparam("this_coupon", type_=String)
_USERS = bindparam("these_users", type_=ARRAY(String))
_NUMBER = bindparam("number", type_=Integer)

_users = func.unnest(_USERS).column_valued("this_user")

# All or none: it requires stock for every user, and a duplicate fails the statement, which rolls it back.
# An INSERT that allows for duplicates (ON CONFLICT) was measured to take a quarter longer.
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
    # The users only if a trigger of the database kept some out.
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

_see_coupon = select(coupons.c.remaining_amount).where(coupons.c.name == _NAME)

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

    def __init__(self, database: Database, name: str, tables: PlainTables) -> None:
        self._database = database
        self._name = name
        self._tables = tables
        self._met_duplicates = False
        """The last batch had some; then the next one is likely to, too."""

    async def claim(self, users: Sequence[str], sent: Callable[[], None] = lambda: None) -> list[Answer]:
        """Return an answer for each user, in their order, which also decides who gets the last units.

        A repeated user gets the answer of a repeated claim. `sent` is called once the batch has a connection,
        perhaps again. Raises as `Database.autocommit`; then nothing was claimed or, if the outcome is
        unknown, all or nothing; on tables with rules of their own, possibly a part.
        """
        distinct = tuple(dict.fromkeys(users))
        answers = await self._at_once(distinct, sent) if await self._tables.is_plain() else {}
        if len(answers) < len(distinct):
            rest = [user for user in distinct if user not in answers]
            if self._tables.plain:  # where they are not, that was logged once
                _log.info("%s of a batch of %s claims are made singly.", len(rest), len(distinct))
            tried = await claim_in_savepoints(self._database, self._name, rest, sent)
            answers = {**answers, **dict(zip(rest, tried, strict=True))}
        if len(distinct) == len(users):
            return [answers[user] for user in users]
        return list(_with_repetitions(users, answers))

    async def _at_once(self, users: Sequence[str], sent: Callable[[], None]) -> Mapping[str, Answer]:
        """Leave out the users whose rows the database does not treat as plain tables do."""
        try:
            answers = None if self._met_duplicates else await self._treat_alike(users, sent)
            return await self._choose(users, sent) if answers is None else answers
        except RefusedByDatabase:
            return {}

    async def _treat_alike(
        self, users: Sequence[str], sent: Callable[[], None]
    ) -> Mapping[str, Answer] | None:
        """Claim in one statement if all users get a unit or none does; None if they must be chosen from."""
        who = {"this_coupon": self._name, "these_users": users, "number": len(users)}
        try:
            async with self._database.autocommit(coupon=self._name) as lease:
                sent()
                number_won, won, seen = await lease.fetch_row_committing(_claim_for_all, who)
                if number_won == len(users):
                    return dict.fromkeys(users, Outcome.CLAIMED)
                if number_won:
                    self._tables.plain = False  # no longer
                    _log.warning("A trigger or rule kept claims out: from now on each is made singly.")
                    return dict.fromkeys({*users} & {*won}, Outcome.CLAIMED)
                if seen is None:
                    return dict.fromkeys(users, Outcome.NOT_FOUND)
                if seen > 0:
                    return None
                (before,) = await lease.fetch_row(_claimed_before, who)
        except KeyTaken:
            return None
        return _split(users, before or (), Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)

    async def _choose(self, users: Sequence[str], sent: Callable[[], None]) -> Mapping[str, Answer]:
        """Claim for the first users without a claim, as far as the stock goes.

        Earlier claims, which are read under the lock while there is stock, take no unit. Returns an empty
        mapping, with nothing claimed, if other rows are inserted than sent, or the row cannot be locked.
        """
        who = {"this_coupon": self._name, "these_users": users}
        async with self._database.session(coupon=self._name) as session:
            sent()
            remaining = (await session.execute(_lock_coupon, who)).scalar_one_or_none()
            if remaining is None:
                seen = (await session.execute(_see_coupon, who)).scalar_one_or_none()
                if seen is None:
                    return dict.fromkeys(users, Outcome.NOT_FOUND)
                if seen > 0:
                    return {}
            before = set((await session.execute(_claimed_before, who)).scalar_one() or ())
            first = [user for user in users if user not in before][: int(remaining or 0)]
            if first:
                inserted = await session.execute(_insert_claims, {**who, "these_users": first})
                if set(inserted.scalars()) != set(first):
                    return {}
                await session.execute(_take, {**who, "number": len(first)})
            await session.commit()
        self._met_duplicates = bool(before) and remaining is not None
        answers = _split(users, before, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT)
        return answers | dict.fromkeys(first, Outcome.CLAIMED)


def _with_repetitions(users: Iterable[str], answers: Mapping[str, Answer]) -> Iterable[Answer]:
    met: set[str] = set()
    for user in users:
        again = user in met and answers[user] is Outcome.CLAIMED
        met.add(user)
        yield Outcome.ALREADY_CLAIMED if again else answers[user]


def _split(users: Iterable[str], some: Iterable[str], theirs: Outcome, others: Outcome) -> dict[str, Answer]:
    """Give one answer to some of the users, another to the others."""
    some = frozenset(some)
    return {user: theirs if user in some else others for user in users}
