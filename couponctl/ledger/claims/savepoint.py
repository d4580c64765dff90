"""Claims on tables with rules of their own: the answers come from what the tables do with each claim.

A trigger may refuse users, rewrite their ids, or store the rows elsewhere; citext and keys on expressions
treat two ids as one. Then the ids that were sent do not show who has claimed. So the claims are tried one
by one under the coupon's lock, each in a savepoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, exists, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from couponctl.errors import KeyTaken, NoPrivilege, RefusedByDatabase
from couponctl.ledger.tables import LikeItsColumn, claims, coupons, qualified
from couponctl.logs import logger
from couponctl.models import Outcome
from couponctl.postgres.errors import Stage, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from couponctl.postgres.database import Database, Session

_log = logger(__name__)

Answer = Outcome | RefusedByDatabase

KEPT_OUT = "a trigger or rule kept it out, without saying why"
"""The reason for a row that the database accepted, but did not store."""

_NAME = bindparam("this_coupon", type_=LikeItsColumn())
_USER = bindparam("this_user", type_=LikeItsColumn())

_lock_coupon = (
    select(coupons.c.name, coupons.c.remaining_amount).where(coupons.c.name == _NAME).with_for_update()
)
_find_coupon = select(coupons.c.name).where(coupons.c.name == _NAME)

_own_claim = select(exists().where(claims.c.coupon_name == _NAME, claims.c.user_id == _USER))

# A table with rules on INSERT has no RETURNING; the row count is always available.
_insert_claim = insert(claims).values(coupon_name=_NAME, user_id=_USER)
_take_one = (
    update(coupons).where(coupons.c.name == _NAME).values(remaining_amount=coupons.c.remaining_amount - 1)
)

# Both columns are in the key, or in one of its expressions.
_is_key_of_claims = text("""
    SELECT EXISTS (
        SELECT FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
         WHERE indrelid = to_regclass(:claims) AND relname = :key
           AND 2 = (SELECT count(*) FROM pg_attribute
                     WHERE attrelid = indrelid AND attname IN ('coupon_name', 'user_id')
                       AND (attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])
                            OR attnum IN (SELECT refobjsubid FROM pg_depend
                                           WHERE objid = indexrelid AND refobjid = indrelid
                                             AND indexprs IS NOT NULL))))
""")


async def claim_in_savepoints(
    database: Database, name: str, users: Sequence[str], sent: Callable[[], None] = lambda: None
) -> list[Answer]:
    """Return an answer for each user, in their order; the first get the last units.

    `sent` is called once there is a connection. Raises NoPrivilege if the coupon may be seen but not
    locked, and otherwise as `Database.session` does; if the outcome is unknown, some may have claimed.
    """
    try:
        async with database.session(coupon=name) as session:
            sent()
            answers = await _Trial(database, session).claim(name, users)
            await session.commit()
    except RefusedByDatabase as refusal:
        # Refused only at the commit, which does not tell whose claim caused it.
        if len(users) == 1:
            return [refusal]
        _log.info("%s claims were refused at their commit, and each gets one of its own.", len(users))
        return [one for user in users for one in await claim_in_savepoints(database, name, (user,))]
    return answers


class _Trial:
    """Claims on one coupon in one transaction."""

    def __init__(self, database: Database, session: Session) -> None:
        self._database = database
        self._session = session

    async def claim(self, name: str, users: Sequence[str]) -> list[Answer]:
        coupon = (await self._session.execute(_lock_coupon, {"this_coupon": name})).one_or_none()
        if coupon is None:
            found = await self._session.execute(_find_coupon, {"this_coupon": name})
            if found.first() is not None:
                raise NoPrivilege
            return [Outcome.NOT_FOUND] * len(users)
        remaining = coupon.remaining_amount
        answers: list[Answer] = []
        for user in users:
            answer = await self._claim_one({"this_coupon": coupon.name, "this_user": user}, remaining)
            remaining -= answer is Outcome.CLAIMED
            answers.append(answer)
        return answers

    async def _claim_one(self, who: dict[str, str], remaining: int) -> Answer:
        if await self._has_claimed(who):
            return Outcome.ALREADY_CLAIMED
        try:
            async with self._session.connection.begin_nested() as savepoint:
                inserted = await self._session.execute(_insert_claim, who)
                if not inserted.rowcount and not await self._has_claimed(who):
                    return RefusedByDatabase(KEPT_OUT) if remaining > 0 else Outcome.SOLD_OUT
                if remaining <= 0:
                    await savepoint.rollback()
                    return Outcome.SOLD_OUT
                await self._session.execute(_take_one, who)
        except DBAPIError as exc:
            refusal = self._refusal(exc)
            if isinstance(refusal, KeyTaken) and await self._is_key_of_claims(refusal.key):
                return Outcome.ALREADY_CLAIMED
            return refusal if remaining > 0 else Outcome.SOLD_OUT
        return Outcome.CLAIMED

    def _refusal(self, exc: DBAPIError) -> RefusedByDatabase:
        """Translate a refusal; raise the driver's error again if it is none."""
        error = translated(exc, self._database.server, self._database.limits, Stage.WORKING)
        if not isinstance(error, RefusedByDatabase):
            raise exc
        return error

    async def _has_claimed(self, who: dict[str, str]) -> bool:
        return bool((await self._session.execute(_own_claim, who)).scalar_one())

    async def _is_key_of_claims(self, key: str) -> bool:
        parameters = {"claims": qualified("claims", self._database.schema), "key": key}
        return bool((await self._session.execute(_is_key_of_claims, parameters)).scalar_one())
