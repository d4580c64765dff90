"""Services that make a claim again, or do not, in the wrong way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import update

from couponctl.errors import Contended, OutcomeUnknown, SoldOut, TimedOut, Unavailable
from couponctl.ledger.claims import TRANSACTION
from couponctl.ledger.claims.batcher import Batcher
from couponctl.ledger.claims.strategy import Strategy
from couponctl.ledger.tables import coupons
from couponctl.models import Outcome, Phases
from couponctl.service import Attempt, CouponService, Patience
from tests.support.mutants.mutant import Mutant

if TYPE_CHECKING:
    from couponctl.ledger.claims.batcher import Answer


class _LooksInstead(CouponService):
    """Resolves a lost answer by a look at the claims, which does not wait for what is under way."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._patience = Patience(tries=1)
        attempt = await super().claim(name, user_id)
        if attempt.outcome is not Outcome.UNKNOWN:
            return attempt
        if await self.find_claim(name, user_id) is not None:
            return Attempt(name, user_id, Outcome.CLAIMED, resolved=True)
        return Attempt(name, user_id, Outcome.UNAVAILABLE, attempt.refusal)


class _VictimTakesTwo(CouponService):
    """Takes a unit before it makes the claim of a deadlock's victim again."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._patience = Patience(tries=1)
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
        self._patience = Patience(tries=1)
        attempt = await super().claim(name, user_id)
        if isinstance(attempt.refusal, Contended):
            return Attempt(name, user_id, Outcome.CLAIMED)
        return attempt


class _VictimIsRefused(CouponService):
    """Takes a deadlock for a sold-out coupon."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        self._patience = Patience(tries=1)
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


MUTANTS = (
    Mutant("lost answer looked up", sale=_LooksInstead),
    Mutant("lost answer looked up, in a transaction", TRANSACTION, _LooksInstead),
    Mutant("victim takes two", sale=_VictimTakesTwo),
    Mutant("victim wins", sale=_VictimWins),
    Mutant("victim is refused", sale=_VictimIsRefused),
    Mutant("lost batch is failure", Strategy("gives-up", _GivesBatchesUp, abreast=1)),
    Mutant("late batch is sold out", Strategy("late", _LateBatchesAreSoldOut, abreast=1)),
)
