"""Services that make a claim again, or do not, in the wrong way."""

from __future__ import annotations

from sqlalchemy import update

from couponctl.claims import TRANSACTION
from couponctl.errors import Contended, SoldOut
from couponctl.models import Outcome
from couponctl.service import Attempt, CouponService, Patience
from couponctl.tables import coupons
from tests.mutants.mutant import Mutant


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


MUTANTS = (
    Mutant("lost answer looked up", sale=_LooksInstead),
    Mutant("lost answer looked up, in a transaction", TRANSACTION, _LooksInstead),
    Mutant("victim takes two", sale=_VictimTakesTwo),
    Mutant("victim wins", sale=_VictimWins),
    Mutant("victim is refused", sale=_VictimIsRefused),
)
