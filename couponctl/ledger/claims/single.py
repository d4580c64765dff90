"""One claim at a time on a connection: in one statement, or in five."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import String, bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from couponctl.aio.cancellation import cancel_once
from couponctl.errors import RefusedByDatabase
from couponctl.ledger.claims.plain_tables import PlainTables
from couponctl.ledger.claims.savepoint import claim_in_savepoints
from couponctl.ledger.claims.strategy import Strategy
from couponctl.ledger.tables import claims, coupons
from couponctl.logs import logger
from couponctl.models import Outcome, Phases
from couponctl.postgres.database import Database

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from couponctl.ledger.claims.strategy import Claimer
    from couponctl.postgres.database import AutocommitLease, Lease, Session, Turn

_log = logger(__name__)

# Not named like columns: SQLAlchemy would take such a parameter for a value to set.
_NAME = bindparam("this_coupon", type_=String)
_USER = bindparam("this_user", type_=String)

CROWD = 1000
"""With more claims than this under way, a claim waits for its connection without a task of its own.

That takes half the memory, and one more turn of the event loop: measured, a twentieth of a storm's time.
"""


@dataclass(frozen=True, slots=True)
class SingleClaims:
    """Makes each claim on a connection of its own; a value, so that it can be passed to another process."""

    lend: Callable[..., AbstractAsyncContextManager[Lease]]
    """(database, coupon=name, turn=turn) -> the lease that `claim` takes."""
    claim: Callable[[Any, str, str], Awaitable[Outcome | None]]
    """(lease, coupon name, user id) -> the outcome; None if it is not certain."""

    def __call__(self, database: Database) -> Claimer:
        under_way = 0
        tables = PlainTables(database)

        async def claim_one(name: str, user_id: str) -> tuple[Outcome, Phases]:
            nonlocal under_way
            under_way += 1
            try:
                if not (tables.plain or await tables.is_plain()):
                    return await self._in_savepoints(database, name, user_id)
                turn = await database.turn(name) if under_way > CROWD else None
                # The task releases the turn: it starts before any cancellation can reach it.
                outcome, phases = await cancel_once(self._on_a_lease(database, turn, name, user_id))
            except RefusedByDatabase as exc:
                _log.debug("A claim that ended as %s is tried in a savepoint.", exc.code)
                outcome = None
            finally:
                under_way -= 1
            return (
                await self._in_savepoints(database, name, user_id) if outcome is None else (outcome, phases)
            )

        return claim_one

    @staticmethod
    async def _in_savepoints(database: Database, name: str, user_id: str) -> tuple[Outcome, Phases]:
        (answer,) = await cancel_once(claim_in_savepoints(database, name, (user_id,)))
        if isinstance(answer, RefusedByDatabase):
            raise answer
        return answer, Phases()

    async def _on_a_lease(
        self, database: Database, turn: Turn | None, name: str, user_id: str
    ) -> tuple[Outcome | None, Phases]:
        async with self.lend(database, coupon=name, turn=turn) as lease:
            outcome = await self.claim(lease, name, user_id)
        return outcome, lease.phases


_own_claim = select(exists().where(claims.c.coupon_name == _NAME, claims.c.user_id == _USER))

_lock_coupon = select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).with_for_update()

_find_coupon = select(coupons.c.name).where(coupons.c.name == _NAME)

_insert_claim = (
    insert(claims)
    .values(coupon_name=_NAME, user_id=_USER)
    .on_conflict_do_nothing()
    .returning(claims.c.user_id)
)

_take_one = (
    update(coupons).where(coupons.c.name == _NAME).values(remaining_amount=coupons.c.remaining_amount - 1)
)


async def claim_in_transaction(session: Session, name: str, user_id: str) -> Outcome | None:
    who = {"this_coupon": name, "this_user": user_id}
    remaining = (await session.execute(_lock_coupon, who)).scalar_one_or_none()
    session.lap("lock_wait")
    if remaining is None:
        found = (await session.execute(_find_coupon, who)).first()
        return Outcome.NOT_FOUND if found is None else None
    if remaining <= 0:
        claimed_before = (await session.execute(_own_claim, who)).scalar_one()
        session.lap("execute")
        return Outcome.ALREADY_CLAIMED if claimed_before else Outcome.SOLD_OUT
    inserted = (await session.execute(_insert_claim, who)).one_or_none()
    if inserted is None:
        claimed_before = (await session.execute(_own_claim, who)).scalar_one()
        session.lap("execute")
        return Outcome.ALREADY_CLAIMED if claimed_before else None
    await session.execute(_take_one, who)
    session.lap("execute")
    await session.commit()
    session.lap("commit")
    return Outcome.CLAIMED


TRANSACTION = Strategy("transaction", SingleClaims(Database.session, claim_in_transaction))
"""Begin, lock, insert, decrement, commit: five round trips; the only strategy for Citus."""


# One statement: a sold-out coupon is not locked at all; the insert reads the locked row, the decrement
# reads the insert, so a duplicate takes no unit. The four results come from one snapshot.
_locked = (
    select(coupons.c.name)
    .where(coupons.c.name == _NAME, coupons.c.remaining_amount > 0)
    .with_for_update()
    .cte("locked")
)
_won = (
    insert(claims)
    .from_select(["coupon_name", "user_id"], select(_locked.c.name, _USER))
    .on_conflict_do_nothing()
    .returning(claims.c.coupon_name)
    .cte("won")
)
_taken = (
    update(coupons)
    .where(coupons.c.name.in_(select(_won.c.coupon_name)))
    .values(remaining_amount=coupons.c.remaining_amount - 1)
    .cte("taken")
)
_claim_statement = select(
    exists(select(_locked.c.name)).label("locked"),
    exists(select(_won.c.coupon_name)).label("won"),
    select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).scalar_subquery().label("seen"),
    exists().where(claims.c.coupon_name == _NAME, claims.c.user_id == _USER).label("claimed_before"),
).add_cte(_taken)


_now = select(
    exists().where(claims.c.coupon_name == _NAME, claims.c.user_id == _USER).label("claimed"),
    select(coupons.c.remaining_amount).where(coupons.c.name == _NAME).scalar_subquery().label("remaining"),
)


async def _claim_in_statement(lease: AutocommitLease, name: str, user_id: str) -> Outcome | None:
    who = {"this_coupon": name, "this_user": user_id}
    locked, won, seen, claimed_before = await lease.fetch_row_committing(_claim_statement, who)
    lease.lap("execute")
    if won:
        return Outcome.CLAIMED
    if claimed_before:
        return Outcome.ALREADY_CLAIMED
    if seen is None:
        return Outcome.NOT_FOUND
    if seen <= 0:
        return Outcome.SOLD_OUT
    # Another claim of this user was faster, or the last unit went: the snapshot is older than the lock.
    claimed, remaining = await lease.fetch_row(_now, who)
    lease.lap("execute")
    if claimed:
        return Outcome.ALREADY_CLAIMED
    return Outcome.SOLD_OUT if remaining is not None and remaining <= 0 and not locked else None


STATEMENT = Strategy("statement", SingleClaims(Database.autocommit, _claim_in_statement))
"""The whole claim in one statement and one round trip: the default."""
