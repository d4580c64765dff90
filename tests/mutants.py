"""Claims and databases that are wrong on purpose: a drill that does not catch them proves nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from couponctl.cancellation import cancelled_once, to_its_end
from couponctl.claims import STATEMENT, Strategy
from couponctl.claims.one import claim_in_transaction
from couponctl.errors import CouponNotFound, Invalid, SoldOut
from couponctl.models import Coupon, Outcome
from couponctl.service import Attempt, CouponService, Patience
from couponctl.tables import claims, coupons

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.claims.strategy import Claimer
    from couponctl.database import Database, Session
    from couponctl.models import Phases


@dataclass(frozen=True)
class Mutant:
    """A wrong way to claim, or a wrong service around a right one."""

    name: str
    strategy: Strategy = STATEMENT
    sale: type[CouponService] = CouponService


@dataclass(frozen=True)
class Unaided:
    """Claims one at a time, without the trial that makes good what the database refuses."""

    claim: Callable[[Session, str, str], Awaitable[Outcome | None]]

    def __call__(self, database: Database) -> Claimer:
        async def claim_one(name: str, user_id: str) -> tuple[Outcome, Phases]:
            return await cancelled_once(self._on_a_loan(database, name, user_id))

        return claim_one

    async def _on_a_loan(self, database: Database, name: str, user_id: str) -> tuple[Outcome, Phases]:
        async with database.session(coupon=name) as session:
            outcome = await self.claim(session, name, user_id)
        assert outcome is not None
        return outcome, session.phases


async def _insert(session: Session, name: str, user_id: str) -> None:
    await session.execute(insert(claims).values(coupon_name=name, user_id=user_id))


async def _take_one(session: Session, name: str) -> None:
    one_less = update(coupons).where(coupons.c.name == name)
    await session.execute(one_less.values(remaining_amount=coupons.c.remaining_amount - 1))


async def _remaining(session: Session, name: str, *, lock: bool = True) -> int | None:
    query = select(coupons.c.remaining_amount).where(coupons.c.name == name)
    found = await session.execute(query.with_for_update() if lock else query)
    remaining: int | None = found.scalar_one_or_none()
    return remaining


async def _check_then_act(session: Session, name: str, user_id: str) -> Outcome:
    """Reads the stock without locking the row, so that many see the same last units."""
    remaining = await _remaining(session, name, lock=False)
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
    remaining = await _remaining(session, name)
    if not remaining:
        return Outcome.SOLD_OUT
    await _insert(session, name, user_id)
    await _take_one(session, name)
    return Outcome.CLAIMED


async def _swallow_in_transaction(session: Session, name: str, user_id: str) -> Outcome:
    """Ignores an error inside the transaction, whose COMMIT is then a silent ROLLBACK."""
    remaining = await _remaining(session, name)
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
    remaining = await _remaining(session, name)
    if not remaining:
        return Outcome.SOLD_OUT
    await _insert(session, name, user_id)
    await _take_one(session, name)
    await session.commit()
    return Outcome.CLAIMED


class _Damaged(CouponService):
    """Damages the tables once the coupon is there."""

    damage: ClassVar[str]

    async def create(self, name: str, amount: int) -> Coupon:
        coupon = await super().create(name, amount)
        async with self.database.session() as session:
            for statement in self.damage.format(schema=self.database.schema).split(";;"):
                await session.execute(text(statement))
            await session.commit()
        return coupon


class _WithoutKey(_Damaged):
    damage = "ALTER TABLE {schema}.claims DROP CONSTRAINT IF EXISTS claims_pkey"


class _WithoutCheck(_Damaged):
    damage = "ALTER TABLE {schema}.coupons DROP CONSTRAINT IF EXISTS coupons_remaining_within_amount"


class _Vanishing(_Damaged):
    """A trigger quietly removes claims at commit."""

    damage = """
        CREATE OR REPLACE FUNCTION {schema}.vanish() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN DELETE FROM {schema}.claims WHERE user_id = NEW.user_id; RETURN NULL; END $$
        ;; DROP TRIGGER IF EXISTS vanish ON {schema}.claims
        ;; CREATE CONSTRAINT TRIGGER vanish AFTER INSERT ON {schema}.claims
           DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION {schema}.vanish()
    """


class _Mistaken(CouponService):
    """Takes one outcome for another."""

    mistake: ClassVar[dict[Outcome, Outcome]]

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        outcome = self.mistake.get(attempt.outcome, attempt.outcome)
        refusal = None if outcome is Outcome.CLAIMED else attempt.refusal
        return attempt._replace(outcome=outcome, refusal=refusal)


class _TimeoutIsSoldOut(_Mistaken):
    mistake = {Outcome.TIMED_OUT: Outcome.SOLD_OUT}  # noqa: RUF012


class _ExhaustionIsSoldOut(_Mistaken):
    mistake = {Outcome.POOL_EXHAUSTED: Outcome.SOLD_OUT}  # noqa: RUF012


class _FailureIsSuccess(_Mistaken):
    mistake = {Outcome.UNAVAILABLE: Outcome.CLAIMED}  # noqa: RUF012


class _UnknownIsFailure(_Mistaken):
    """Calls a lost answer a failure, and does not ask again."""

    mistake = {Outcome.UNKNOWN: Outcome.UNAVAILABLE}  # noqa: RUF012

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._patience = Patience(tries=1)
        return await super().claim(name, user_id)


class _DriverText(CouponService):
    """Shows users what the database said."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        words = 'duplicate key value violates unique constraint "claims_pkey"'
        if attempt.outcome is Outcome.ALREADY_CLAIMED:
            return attempt._replace(refusal=Invalid("claim", words))
        return attempt


class _Leaking(CouponService):
    """Borrows one connection too many and never gives it back."""

    leaked: ClassVar[list[AsyncExitStack]] = []

    async def claim(self, name: str, user_id: str) -> Attempt:
        if not self.leaked:
            stack = AsyncExitStack()
            self.leaked.append(stack)
            await stack.enter_async_context(self.database.session("AUTOCOMMIT"))
        return await super().claim(name, user_id)


class _Forgetful(CouponService):
    """Remembers for good that a coupon was not there."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        absent: set[str] = self.__dict__.setdefault("absent", set())
        if name in absent:
            return Attempt(name, user_id, Outcome.NOT_FOUND, CouponNotFound(name))
        attempt = await super().claim(name, user_id)
        if attempt.outcome is Outcome.NOT_FOUND:
            absent.add(name)
        return attempt


class _Tidying(CouponService):
    """Trims and shortens what it is given, instead of refusing it."""

    async def create(self, name: str, amount: int) -> Coupon:
        return await super().create(name.strip()[:255] or "blank", amount)


class _Stubborn(CouponService):
    """Goes on with a claim that was cancelled."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        return await to_its_end(super().claim(name, user_id))


class _Hasty(CouponService):
    """Says "sold out" from a glance at the counter, before the claim of the same user is looked for."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        async with self.database.session("AUTOCOMMIT") as session:
            remaining = await _remaining(session, name, lock=False)
        if remaining is not None and remaining <= 1:
            return Attempt(name, user_id, Outcome.SOLD_OUT, SoldOut(name, user_id))
        return await super().claim(name, user_id)


class _Deaf(CouponService):
    """Tells the first callers "sold out" without asking the database."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        callers = self.__dict__["callers"] = self.__dict__.get("callers", 0) + 1
        if callers <= 30:
            return Attempt(name, user_id, Outcome.SOLD_OUT, SoldOut(name, user_id))
        return await super().claim(name, user_id)


MUTANTS = (
    Mutant("first come refused", sale=_Deaf),
    Mutant("no lock", Strategy("check-then-act", Unaided(_check_then_act))),
    Mutant("decrement first", Strategy("decrement-first", Unaided(_decrement_first))),
    Mutant("no decrement", Strategy("no-decrement", Unaided(_no_decrement))),
    Mutant(
        "duplicates let through",
        Strategy("duplicates", Unaided(_let_duplicates_through)),
        _WithoutKey,
    ),
    Mutant("answer before commit", Strategy("early", Unaided(_answer_before_commit))),
    Mutant("error swallowed", Strategy("swallow", Unaided(_swallow_in_transaction))),
    Mutant("sold out when busy", Strategy("busy", Unaided(_sold_out_when_busy))),
    Mutant("sold out too early", sale=_Hasty),
    Mutant("timeout is sold out", sale=_TimeoutIsSoldOut),
    Mutant("exhaustion is sold out", sale=_ExhaustionIsSoldOut),
    Mutant("failure is success", sale=_FailureIsSuccess),
    Mutant("unknown is failure", sale=_UnknownIsFailure),
    Mutant("driver text", sale=_DriverText),
    Mutant("connection leaked", sale=_Leaking),
    Mutant("not found for good", sale=_Forgetful),
    Mutant("input tidied", sale=_Tidying),
    Mutant("cancellation ignored", sale=_Stubborn),
    Mutant("claims vanish", sale=_Vanishing),
    Mutant("no check constraint", sale=_WithoutCheck),
)


async def give_back_leaked() -> None:
    """End what the leaking mutant borrowed, so that it does not outlive its test."""
    while _Leaking.leaked:
        await _Leaking.leaked.pop().aclose()
