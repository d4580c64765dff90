"""Wrong services around claims that are right: what they answer, keep, and forget."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import ClassVar

from couponctl.aio.cancellation import shielded
from couponctl.errors import CouponNotFound, Invalid, SoldOut
from couponctl.models import Coupon, Outcome, PoolStats
from couponctl.service import Attempt, CouponService, RetryPolicy
from tests.support.mutants.claims import remaining_of
from tests.support.mutants.mutant import Mutant


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
        self._retry_policy = RetryPolicy(attempts=1)
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
        return await shielded(super().claim(name, user_id))


class _Hasty(CouponService):
    """Says "sold out" from a glance at the counter, before the claim of the same user is looked for."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        async with self.database.session("AUTOCOMMIT") as session:
            remaining = await remaining_of(session, name, lock=False)
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


class _CountsNoFailures(CouponService):
    """Has nobody wait in vain, as far as it tells."""

    def pool_stats(self) -> PoolStats:
        return replace(super().pool_stats(), acquire_failures=0)


MUTANTS = (
    Mutant("first come refused", service_class=_Deaf),
    Mutant("sold out too early", service_class=_Hasty),
    Mutant("timeout is sold out", service_class=_TimeoutIsSoldOut),
    Mutant("exhaustion is sold out", service_class=_ExhaustionIsSoldOut),
    Mutant("failure is success", service_class=_FailureIsSuccess),
    Mutant("unknown is failure", service_class=_UnknownIsFailure),
    Mutant("driver text", service_class=_DriverText),
    Mutant("connection leaked", service_class=_Leaking),
    Mutant("not found for good", service_class=_Forgetful),
    Mutant("input tidied", service_class=_Tidying),
    Mutant("waits in vain not counted", service_class=_CountsNoFailures),
    Mutant("cancellation ignored", service_class=_Stubborn),
)


async def give_back_leaked() -> None:
    """End what the leaking mutant borrowed, so that it does not outlive its test."""
    while _Leaking.leaked:
        await _Leaking.leaked.pop().aclose()
