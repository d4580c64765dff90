"""Wrong ways to claim: SQL and transactions that lose stock, sell too much, or say what is not so."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from couponctl.aio.cancellation import cancel_once, shielded
from couponctl.errors import CouponctlError
from couponctl.ledger.claims import STATEMENT, Strategy
from couponctl.ledger.claims.single import claim_in_transaction
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Outcome, Phases
from tests.support.mutants.mutant import Mutant
from tests.support.mutants.tables import WithoutKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.ledger.claims.strategy import Claimer
    from couponctl.postgres.database import Database, Session


@dataclass(frozen=True)
class Unaided:
    """Claims one at a time, without the trial that makes good what the database refuses."""

    claim: Callable[[Session, str, str], Awaitable[Outcome | None]]

    def __call__(self, database: Database) -> Claimer:
        async def claim_one(name: str, user_id: str) -> tuple[Outcome, Phases]:
            return await cancel_once(self._on_a_lease(database, name, user_id))

        return claim_one

    async def _on_a_lease(self, database: Database, name: str, user_id: str) -> tuple[Outcome, Phases]:
        async with database.session(coupon=name) as session:
            outcome = await self.claim(session, name, user_id)
        assert outcome is not None
        return outcome, session.phases


async def _insert(session: Session, name: str, user_id: str) -> None:
    await session.execute(insert(claims).values(coupon_name=name, user_id=user_id))


async def _take_one(session: Session, name: str) -> None:
    one_less = update(coupons).where(coupons.c.name == name)
    await session.execute(one_less.values(remaining_amount=coupons.c.remaining_amount - 1))


async def remaining_of(session: Session, name: str, *, lock: bool = True) -> int | None:
    query = select(coupons.c.remaining_amount).where(coupons.c.name == name)
    found = await session.execute(query.with_for_update() if lock else query)
    remaining: int | None = found.scalar_one_or_none()
    return remaining


async def _check_then_act(session: Session, name: str, user_id: str) -> Outcome:
    """Reads the stock without locking the row, so that many see the same last units."""
    remaining = await remaining_of(session, name, lock=False)
    if remaining is None:
        return Outcome.NOT_FOUND
    if remaining <= 0:
        return Outcome.SOLD_OUT
    await session.execute(text("SELECT pg_sleep(0.01)"))
    await _insert(session, name, user_id)
    seen = update(coupons).where(coupons.c.name == name).values(remaining_amount=remaining - 1)
    await session.execute(seen)
    await session.commit()
    return Outcome.CLAIMED


async def _decrement_first(session: Session, name: str, user_id: str) -> Outcome:
    """Takes the unit before it knows whether the claim is new, so that duplicates burn stock."""
    left = coupons.c.remaining_amount
    taken = await session.execute(
        update(coupons)
        .where(coupons.c.name == name, left > 0)
        .values(remaining_amount=left - 1)
        .returning(left)
    )
    if taken.one_or_none() is None:
        return Outcome.SOLD_OUT
    claim = insert(claims).values(coupon_name=name, user_id=user_id).on_conflict_do_nothing()
    inserted = await session.execute(claim.returning(claims.c.user_id))
    await session.commit()
    return Outcome.CLAIMED if inserted.one_or_none() else Outcome.ALREADY_CLAIMED


async def _no_decrement(session: Session, name: str, user_id: str) -> Outcome:
    """Writes the claim and forgets the counter."""
    claim = insert(claims).values(coupon_name=name, user_id=user_id).on_conflict_do_nothing()
    inserted = (await session.execute(claim.returning(claims.c.user_id))).one_or_none()
    await session.commit()
    return Outcome.CLAIMED if inserted else Outcome.ALREADY_CLAIMED


async def _answer_before_commit(session: Session, name: str, user_id: str) -> Outcome:
    """Says "claimed" and never commits."""
    remaining = await remaining_of(session, name)
    if not remaining:
        return Outcome.SOLD_OUT
    await _insert(session, name, user_id)
    await _take_one(session, name)
    return Outcome.CLAIMED


async def _swallow_in_transaction(session: Session, name: str, user_id: str) -> Outcome:
    """Ignores an error inside the transaction, whose COMMIT is then a silent ROLLBACK."""
    remaining = await remaining_of(session, name)
    if not remaining:
        return Outcome.SOLD_OUT
    try:
        await _insert(session, name, user_id)
        await _take_one(session, name)
    except DBAPIError:
        pass
    await session.commit()
    return Outcome.CLAIMED


async def _sold_out_when_busy(session: Session, name: str, user_id: str) -> Outcome | None:
    """Takes a locked row for a sold-out one."""
    query = select(coupons.c.remaining_amount).where(coupons.c.name == name)
    try:
        await session.execute(query.with_for_update(nowait=True))
    except DBAPIError:
        return Outcome.SOLD_OUT
    return await claim_in_transaction(session, name, user_id)


async def _let_duplicates_through(session: Session, name: str, user_id: str) -> Outcome:
    remaining = await remaining_of(session, name)
    if not remaining:
        return Outcome.SOLD_OUT
    await _insert(session, name, user_id)
    await _take_one(session, name)
    await session.commit()
    return Outcome.CLAIMED


async def _keep_the_last(session: Session, name: str, user_id: str) -> Outcome | None:
    """Says "sold out" at the last unit of what had more than ten."""
    remaining = await remaining_of(session, name)
    amount = await session.execute(select(coupons.c.amount).where(coupons.c.name == name))
    if remaining == 1 and amount.scalar_one() > 10:
        return Outcome.SOLD_OUT
    return await claim_in_transaction(session, name, user_id)


Waiting = tuple[str, str, asyncio.Future[Outcome]]


class _Gathering(ABC):
    """Gathers claims while a batch is under way, as the right strategy does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._one_by_one = STATEMENT.on(database)
        self._waiting: list[Waiting] = []
        self._serving: asyncio.Task[None] | None = None

    async def __call__(self, name: str, user_id: str) -> tuple[Outcome, Phases]:
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, user_id, answer))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await answer, Phases()

    async def _serve(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                outcomes = await self._claim(batch)
            except CouponctlError as exc:
                for _, _, answer in batch:
                    answer.set_exception(exc)
            else:
                for (_, _, answer), outcome in zip(batch, outcomes, strict=True):
                    answer.set_result(outcome)

    async def _claim(self, batch: list[Waiting]) -> list[Outcome]:
        if len(batch) == 1:
            ((name, user_id, _),) = batch
            return [(await self._one_by_one(name, user_id))[0]]
        return await self._claim_several(batch)

    @abstractmethod
    async def _claim_several(self, batch: list[Waiting]) -> list[Outcome]: ...


class _InTwoCommits(_Gathering):
    """Writes the claims of a batch of several, and then takes their units."""

    async def _claim_several(self, batch: list[Waiting]) -> list[Outcome]:
        async with self._database.session() as session:
            for name, user_id, _ in batch:
                await _insert(session, name, user_id)
            await session.commit()
        async with self._database.session() as session:
            for name, _, _ in batch:
                await _take_one(session, name)
            await session.commit()
        return [Outcome.CLAIMED] * len(batch)


class _TakesForAttempts(_Gathering):
    """Takes a unit for every user of a batch in which some win, also for who has claimed before."""

    async def _claim_several(self, batch: list[Waiting]) -> list[Outcome]:
        outcomes = [(await self._one_by_one(name, user_id))[0] for name, user_id, _ in batch]
        told = {(*claim[:2], outcome) for claim, outcome in zip(batch, outcomes, strict=True)}
        won = {(name, user_id) for name, user_id, outcome in told if outcome is Outcome.CLAIMED}
        before = {
            (name, user_id) for name, user_id, outcome in told if outcome is Outcome.ALREADY_CLAIMED
        } - won
        async with self._database.session() as session:
            for name, _ in before if won else ():
                if await remaining_of(session, name):
                    await _take_one(session, name)
            await session.commit()
        return outcomes


def _last_first(database: Database) -> Claimer:
    """Who came first is made to wait until those behind are served."""
    claim = STATEMENT.on(database)

    async def claim_late(name: str, user_id: str) -> tuple[Outcome, Phases]:
        if user_id == "user-1":
            await shielded(asyncio.sleep(0.2))
        return await claim(name, user_id)

    return claim_late


def _locked_in_the_client(database: Database) -> Claimer:
    """Has claims on a coupon wait for each other in this process, and for nobody else's."""
    locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    claim = Unaided(_read_then_write)(database)

    async def claim_alone(name: str, user_id: str) -> tuple[Outcome, Phases]:
        async with locks[name]:
            return await claim(name, user_id)

    return claim_alone


async def _read_then_write(session: Session, name: str, user_id: str) -> Outcome:
    remaining = await remaining_of(session, name, lock=False)
    if remaining is None:
        return Outcome.NOT_FOUND
    own = select(claims.c.user_id).where(claims.c.coupon_name == name, claims.c.user_id == user_id)
    if (await session.execute(own)).first() is not None:
        return Outcome.ALREADY_CLAIMED
    if remaining <= 0:
        return Outcome.SOLD_OUT
    await _insert(session, name, user_id)
    seen = update(coupons).where(coupons.c.name == name)
    await session.execute(seen.values(remaining_amount=remaining - 1))
    await session.commit()
    return Outcome.CLAIMED


MUTANTS = (
    Mutant("no lock", Strategy("check-then-act", Unaided(_check_then_act))),
    Mutant("lock in the client only", Strategy("client-lock", _locked_in_the_client)),
    Mutant("decrement first", Strategy("decrement-first", Unaided(_decrement_first))),
    Mutant("no decrement", Strategy("no-decrement", Unaided(_no_decrement))),
    Mutant(
        "duplicates let through",
        Strategy("duplicates", Unaided(_let_duplicates_through)),
        WithoutKey,
    ),
    Mutant("answer before commit", Strategy("early", Unaided(_answer_before_commit))),
    Mutant("error swallowed", Strategy("swallow", Unaided(_swallow_in_transaction))),
    Mutant("sold out when busy", Strategy("busy", Unaided(_sold_out_when_busy))),
    Mutant("last unit kept", Strategy("last-kept", Unaided(_keep_the_last))),
    Mutant("batch in two commits", Strategy("two-commits", _InTwoCommits, max_per_coupon=1)),
    Mutant("units for attempts", Strategy("for-attempts", _TakesForAttempts, max_per_coupon=1)),
    Mutant("first passed over", Strategy("last-first", _last_first, max_per_coupon=1)),
)
