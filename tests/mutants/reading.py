"""Services that claim as they should, and are wrong when they are asked what became of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from sqlalchemy import select

from couponctl.errors import SoldOut
from couponctl.models import Claim, Claimants, Coupon, CouponPage, Outcome, Sort
from couponctl.service import Attempt, CouponService
from couponctl.tables import claims
from tests.mutants.mutant import Mutant


class _SkipsOneAPage(CouponService):
    """Begins a page one claimant too late."""

    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        shown = await super().show(name, limit=limit, after=after)
        return shown if after is None else replace(shown, claimed_by=shown.claimed_by[1:])


class _RepeatsOneAPage(CouponService):
    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        shown = await super().show(name, limit=limit, after=after)
        return shown if after is None else replace(shown, claimed_by=(after, *shown.claimed_by))


class _SortsByName(CouponService):
    """Lists by name, whatever order is asked for."""

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        return await super().list(matching=matching, sort=Sort.NAME, limit=limit, after=after)


class _ListsOnePage(CouponService):
    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        page = await super().list(matching=matching, sort=sort, limit=limit, after=after)
        return replace(page, next=None)


class _FindsThatOfAnother(CouponService):
    """Finds the user's claim of another coupon."""

    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        if found := await super().find_claim(name, user_id):
            return found
        any_of_theirs = select(claims.c.user_id, claims.c.created_at).where(claims.c.user_id == user_id)
        async with self.database.session("AUTOCOMMIT") as session:
            row = (await session.execute(any_of_theirs.limit(1))).one_or_none()
        return None if row is None else Claim(row.user_id, row.created_at)


class _OldestFirst(CouponService):
    """Takes the oldest claimants for the newest."""

    async def newest_claimants(self, name: str, *, limit: int = 10) -> tuple[Claim, ...]:
        everybody = await super().newest_claimants(name, limit=1000)
        return everybody[::-1][:limit]


class _CreatedLater(CouponService):
    """Answers a create by its own clock, which is fast."""

    async def create(self, name: str, amount: int) -> Coupon:
        created = await super().create(name, amount)
        assert created.created_at is not None
        return replace(created, created_at=created.created_at + timedelta(hours=1))


class _NamesAnotherCoupon(CouponService):
    """Tells users of the coupon that sold out last."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.outcome is Outcome.SOLD_OUT:
            return attempt._replace(refusal=SoldOut("SPRING", user_id))
        return attempt


class _AnswersAnother(CouponService):
    """Answers a claim with the user of the one before."""

    last: ClassVar[str] = "somebody"

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        last, type(self).last = self.last, user_id
        return attempt._replace(user_id=last)


MUTANTS = (
    Mutant("claimant skipped between pages", sale=_SkipsOneAPage),
    Mutant("claimant repeated between pages", sale=_RepeatsOneAPage),
    Mutant("list by name only", sale=_SortsByName),
    Mutant("list ends with its page", sale=_ListsOnePage),
    Mutant("claim of another coupon found", sale=_FindsThatOfAnother),
    Mutant("oldest for newest", sale=_OldestFirst),
    Mutant("create dated by the client", sale=_CreatedLater),
    Mutant("refusal of another coupon", sale=_NamesAnotherCoupon),
    Mutant("answer to another", sale=_AnswersAnother),
)
