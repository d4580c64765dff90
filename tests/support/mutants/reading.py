"""Services that claim as they should, and are wrong when they are asked what became of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import delete, select, update

from couponctl.errors import CouponExists, CouponNotFound, SoldOut
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Audit, Claim, Claimants, Coupon, CouponPage, FindingKind, Outcome, Sort
from couponctl.service import Attempt, CouponService
from tests.support.mutants.mutant import Mutant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


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


class _RemembersWhoHasNone(CouponService):
    """Looks for a user's claim once."""

    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        known: dict[tuple[str, str], Claim | None] = self.__dict__.setdefault("known", {})
        if (name, user_id) not in known:
            known[name, user_id] = await super().find_claim(name, user_id)
        return known[name, user_id]


class _ShowsTheSecondBefore(CouponService):
    """Shows what was shown within the last second."""

    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        shown: dict[tuple[str, int, str | None], tuple[float, Claimants]] = self.__dict__.setdefault(
            "shown", {}
        )
        at, page = shown.get((name, limit, after), (0.0, None))
        if page is None or monotonic() > at + 1:
            page = await super().show(name, limit=limit, after=after)
            shown[name, limit, after] = (monotonic(), page)
        return page


class _CutsLists(CouponService):
    """Claims for the first thousand of a list."""

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        await super().claim_many(name, islice(users, 1000), answered)


class _ClaimsForNoCoupon(CouponService):
    """Says nothing of a list for a coupon that is not there."""

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        with suppress(CouponNotFound):
            await super().claim_many(name, users, answered)


class _SellsAnew(CouponService):
    """Begins a sale anew when its coupon is created again after it was sold."""

    async def create(self, name: str, amount: int) -> Coupon:
        try:
            return await super().create(name, amount)
        except CouponExists:
            sold = (await self.show(name)).coupon
            if sold.remaining_amount:
                raise
        async with self.database.session() as session:
            await session.execute(delete(claims).where(claims.c.coupon_name == name))
            anew = update(coupons).where(coupons.c.name == name)
            await session.execute(anew.values(amount=amount, remaining_amount=amount))
            await session.commit()
        return replace(sold, amount=amount, remaining_amount=amount)


class _OverlooksLostUnits(CouponService):
    async def verify(self, names: Sequence[str] = ()) -> Audit:
        audit = await super().verify(names)
        found = (each for each in audit.findings if each.kind is not FindingKind.LOST_STOCK)
        return replace(audit, findings=tuple(found))


MUTANTS = (
    Mutant("claimant skipped between pages", service_class=_SkipsOneAPage),
    Mutant("claimant repeated between pages", service_class=_RepeatsOneAPage),
    Mutant("list by name only", service_class=_SortsByName),
    Mutant("list ends with its page", service_class=_ListsOnePage),
    Mutant("claim of another coupon found", service_class=_FindsThatOfAnother),
    Mutant("oldest for newest", service_class=_OldestFirst),
    Mutant("create dated by the client", service_class=_CreatedLater),
    Mutant("refusal of another coupon", service_class=_NamesAnotherCoupon),
    Mutant("answer to another", service_class=_AnswersAnother),
    Mutant("no claim remembered", service_class=_RemembersWhoHasNone),
    Mutant("show of a second before", service_class=_ShowsTheSecondBefore),
    Mutant("list cut at a thousand", service_class=_CutsLists),
    Mutant("list for no coupon", service_class=_ClaimsForNoCoupon),
    Mutant("sold anew", service_class=_SellsAnew),
    Mutant("lost units not verified", service_class=_OverlooksLostUnits),
)
