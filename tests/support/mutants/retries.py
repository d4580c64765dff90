"""Services that make a claim again, or do not, in the wrong way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import delete, update

from couponctl.errors import Contended, OutcomeUnknown, SoldOut, TimedOut, Unavailable
from couponctl.ledger.claims import TRANSACTION
from couponctl.ledger.claims.batcher import Batcher
from couponctl.ledger.claims.strategy import Strategy
from couponctl.ledger.tables import coupons
from couponctl.models import Outcome, Phases
from couponctl.service import Attempt, CouponService, RetryPolicy
from tests.support.mutants.mutant import Mutant

if TYPE_CHECKING:
    from couponctl.ledger.claims.batcher import Answer
from couponctl.errors import AlreadyClaimed
from couponctl.ledger.tables import claims
from tests.support.mutants.claims import remaining_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from couponctl.ledger.claims.batcher import Answer


class _LooksInstead(CouponService):
    """Resolves a lost answer by a look at the claims, which does not wait for what is under way."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._retry_policy = RetryPolicy(attempts=1)
        attempt = await super().claim(name, user_id)
        if attempt.outcome is not Outcome.UNKNOWN:
            return attempt
        if await self.find_claim(name, user_id) is not None:
            return Attempt(name, user_id, Outcome.CLAIMED, resolved=True)
        return Attempt(name, user_id, Outcome.UNAVAILABLE, attempt.refusal)


class _VictimTakesTwo(CouponService):
    """Takes a unit before it makes the claim of a deadlock's victim again."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._retry_policy = RetryPolicy(attempts=1)
        attempt = await super().claim(name, user_id)
        if isinstance(attempt.refusal, Contended):
            left = coupons.c.remaining_amount
            async with self.database.session() as session:
                await session.execute(
                    update(coupons).where(coupons.c.name == name).values(remaining_amount=left - 1)
                )
                await session.commit()
            return await super().claim(name, user_id)
        return attempt


class _VictimWins(CouponService):
    """Tells a deadlock's victim that it has claimed."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._retry_policy = RetryPolicy(attempts=1)
        attempt = await super().claim(name, user_id)
        if isinstance(attempt.refusal, Contended):
            return Attempt(name, user_id, Outcome.CLAIMED)
        return attempt


class _VictimIsRefused(CouponService):
    """Takes a deadlock for a sold-out coupon."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._retry_policy = RetryPolicy(attempts=1)
        attempt = await super().claim(name, user_id)
        if isinstance(attempt.refusal, Contended):
            return Attempt(name, user_id, Outcome.SOLD_OUT, SoldOut(name, user_id))
        return attempt


class _GivesBatchesUp(Batcher):
    """Tells users that their claim failed when the connection broke under a batch of several."""

    inside = 0
    broken: type[Unavailable] = OutcomeUnknown

    async def __call__(self, name: str, user_id: str) -> Answer:
        self.inside += 1
        try:
            return await super().__call__(name, user_id)
        except self.broken as lost:
            if self.inside > 1:
                return self.instead(lost)
            raise
        finally:
            self.inside -= 1

    def instead(self, lost: Unavailable) -> Answer:
        raise Unavailable from lost


class _LateBatchesAreSoldOut(_GivesBatchesUp):
    """Tells users of a batch of several that came too late that the coupon is sold out."""

    broken = TimedOut

    def instead(self, lost: Unavailable) -> Answer:
        return Outcome.SOLD_OUT, Phases()


class _KeepsTheKey(CouponService):
    """Knows claims again that it has seen, those too that came to nothing."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        seen: set[tuple[str, str]] = self.__dict__.setdefault("seen", set())
        if (name, user_id) in seen:
            return Attempt(name, user_id, Outcome.ALREADY_CLAIMED, AlreadyClaimed(name, user_id))
        attempt = await super().claim(name, user_id)
        if attempt.outcome in {Outcome.CLAIMED, Outcome.UNAVAILABLE, Outcome.TIMED_OUT}:
            seen.add((name, user_id))
        return attempt


class _KeepsTheUnit(CouponService):
    """Sets a unit aside for each claim, and does not put it back where the claim fails."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        aside: Counter[str] = self.__dict__.setdefault("aside", Counter())
        attempt = await super().claim(name, user_id)
        if attempt.outcome in {Outcome.UNAVAILABLE, Outcome.TIMED_OUT}:
            aside[name] += 1
        async with self.database.session("AUTOCOMMIT") as session:
            left = await remaining_of(session, name, lock=False)
        if left is not None and left < aside[name] and attempt.outcome is Outcome.CLAIMED:
            await self._give_back(name, user_id)
            return Attempt(name, user_id, Outcome.SOLD_OUT, SoldOut(name, user_id))
        return attempt

    async def _give_back(self, name: str, user_id: str) -> None:
        own = delete(claims).where(claims.c.coupon_name == name, claims.c.user_id == user_id)
        one_more = update(coupons).where(coupons.c.name == name)
        async with self.database.session() as session:
            await session.execute(own)
            await session.execute(one_more.values(remaining_amount=coupons.c.remaining_amount + 1))
            await session.commit()


class _LostIsWon(CouponService):
    """Takes the claim that it finds when an answer was lost for the one that was lost."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.resolved and attempt.outcome is Outcome.ALREADY_CLAIMED:
            return attempt._replace(outcome=Outcome.CLAIMED, refusal=None)
        return attempt


class _ListWinsAnyhow(CouponService):
    """Tells a whole list that it has claimed when the database fails."""

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        everybody = list(users)
        try:
            await super().claim_many(name, everybody, answered)
        except Unavailable:
            answered([Attempt(name, user, Outcome.CLAIMED) for user in everybody])


MUTANTS = (
    Mutant("lost answer looked up", service_class=_LooksInstead),
    Mutant("lost answer looked up, in a transaction", TRANSACTION, _LooksInstead),
    Mutant("victim takes two", service_class=_VictimTakesTwo),
    Mutant("victim wins", service_class=_VictimWins),
    Mutant("victim is refused", service_class=_VictimIsRefused),
    Mutant("lost batch is failure", Strategy("gives-up", _GivesBatchesUp, max_per_coupon=1)),
    Mutant("late batch is sold out", Strategy("late", _LateBatchesAreSoldOut, max_per_coupon=1)),
    Mutant("failed claim remembered", service_class=_KeepsTheKey),
    Mutant("unit of a failed claim kept", service_class=_KeepsTheUnit),
    Mutant("lost answer is a win", service_class=_LostIsWon),
    Mutant("failed list wins", service_class=_ListWinsAnyhow),
)
