"""Services whose answers are wrong about one user, one amount, one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from couponctl.errors import CouponExists, SoldOut
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Audit, Claim, Claimants, Coupon, CouponPage, Outcome, Sort
from couponctl.service import Attempt, CouponService
from tests.support.mutants.claims import remaining_of
from tests.support.mutants.mutant import Mutant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class _ForgetsWinners(CouponService):
    """Tells everybody "sold out" once nothing is left, those who have one too."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        async with self.database.session("AUTOCOMMIT") as session:
            remaining = await remaining_of(session, name, lock=False)
        attempt = await super().claim(name, user_id)
        if remaining == 0 and attempt.outcome is Outcome.ALREADY_CLAIMED:
            return attempt._replace(outcome=Outcome.SOLD_OUT, refusal=SoldOut(name, user_id))
        return attempt


class _NamesAnother(CouponService):
    """Tells a user of the refusal of somebody else."""

    last: ClassVar[str] = "somebody"

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.outcome is Outcome.SOLD_OUT:
            attempt = attempt._replace(refusal=SoldOut(name, self.last))
        type(self).last = user_id
        return attempt


class _UsersWithoutCase(CouponService):
    """Takes users for one who differ in case only."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        return (await super().claim(name, user_id.lower()))._replace(user_id=user_id)


class _CouponsWithoutCase(CouponService):
    async def create(self, name: str, amount: int) -> Coupon:
        return await super().create(name.lower(), amount)

    async def claim(self, name: str, user_id: str) -> Attempt:
        return await super().claim(name.lower(), user_id)


class _DropsZeros(CouponService):
    """Takes users for numbers where they look like some."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        number = str(int(user_id)) if user_id.isascii() and user_id.isdigit() else user_id
        return (await super().claim(name, number))._replace(user_id=user_id)


class _FindsNearly(CouponService):
    """Claims the coupon that is called so but for case, where none is called so."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.outcome is not Outcome.NOT_FOUND:
            return attempt
        alike = select(coupons.c.name).where(func.lower(coupons.c.name) == name.lower()).limit(1)
        async with self.database.session("AUTOCOMMIT") as session:
            found = (await session.execute(alike)).scalar_one_or_none()
        return await super().claim(found, user_id) if found else attempt


class _FiltersByPattern(CouponService):
    """Lists all coupons when a wildcard is looked for."""

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        text = "" if {*matching} & {"%", "_"} else matching
        return await super().list(matching=text, sort=sort, limit=limit, after=after)


class _CapsAmounts(CouponService):
    """Creates no more than a thousand million units, and says nothing."""

    async def create(self, name: str, amount: int) -> Coupon:
        return await super().create(name, min(amount, 10**9) if amount < 2**31 else amount)


class _AddsWhenRefused(CouponService):
    """Adds a unit to a coupon that exists already."""

    async def create(self, name: str, amount: int) -> Coupon:
        try:
            return await super().create(name, amount)
        except CouponExists:
            one_more = update(coupons).where(coupons.c.name == name)
            async with self.database.session() as session:
                await session.execute(
                    one_more.values(
                        amount=coupons.c.amount + 1, remaining_amount=coupons.c.remaining_amount + 1
                    )
                )
                await session.commit()
            raise


class _CreatesAnother(CouponService):
    """Creates a coupon that nobody asked for, too."""

    async def create(self, name: str, amount: int) -> Coupon:
        created = await super().create(name, amount)
        ghost = insert(coupons).values(name=f"{name[:200]} ", amount=amount, remaining_amount=amount)
        async with self.database.session() as session:
            await session.execute(ghost.on_conflict_do_nothing())
            await session.commit()
        return created


class _DropsEveryTenth(CouponService):
    """Leaves out every tenth user of a list, and says that they have claimed."""

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        everybody = list(users)
        dropped = everybody[9::10]
        await super().claim_many(name, [user for user in everybody if user not in dropped], answered)
        answered([Attempt(name, user, Outcome.CLAIMED) for user in dropped])


class _ShowsWhatWas(CouponService):
    """Shows coupons as they were created."""

    async def create(self, name: str, amount: int) -> Coupon:
        created = await super().create(name, amount)
        self.__dict__.setdefault("as_created", {})[name] = created
        return created

    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        shown = await super().show(name, limit=limit, after=after)
        return replace(shown, coupon=self.__dict__["as_created"].get(name, shown.coupon))


class _ForgetsAClaimant(CouponService):
    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        shown = await super().show(name, limit=limit, after=after)
        return replace(shown, claimed_by=shown.claimed_by[1:])


class _FindsNobody(CouponService):
    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        return None


class _ListsTooMany(CouponService):
    """Lists one unit more than is left."""

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        page = await super().list(matching=matching, sort=sort, limit=limit, after=after)
        more = (replace(each, remaining_amount=each.remaining_amount + 1) for each in page.coupons)
        return replace(page, coupons=tuple(more))


class _LiesOnce(CouponService):
    """Has the 130th claim won, without making it."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        made = self.__dict__["made"] = self.__dict__.get("made", 0) + 1
        if made == 130:
            return Attempt(name, user_id, Outcome.CLAIMED)
        return await super().claim(name, user_id)


class _VerifiesNothing(CouponService):
    async def verify(self, names: Sequence[str] = ()) -> Audit:
        return replace(await super().verify(names), findings=())


class _RewritesOnDuplicate(CouponService):
    """Has whoever asks again claim now."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.outcome is Outcome.ALREADY_CLAIMED:
            own = update(claims).where(claims.c.coupon_name == name, claims.c.user_id == user_id)
            async with self.database.session() as session:
                await session.execute(own.values(created_at=func.clock_timestamp()))
                await session.commit()
        return attempt


class _CommitsRefusals(CouponService):
    """Writes a claim for whoever comes too late, and takes it back."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        if attempt.outcome is Outcome.SOLD_OUT:
            own = delete(claims).where(claims.c.coupon_name == name, claims.c.user_id == user_id)
            for statement in (insert(claims).values(coupon_name=name, user_id=user_id), own):
                async with self.database.session() as session:
                    await session.execute(statement)
                    await session.commit()
        return attempt


MUTANTS = (
    Mutant("winners forgotten", service_class=_ForgetsWinners),
    Mutant("refusal of another", service_class=_NamesAnother),
    Mutant("users without case", service_class=_UsersWithoutCase),
    Mutant("coupons without case", service_class=_CouponsWithoutCase),
    Mutant("leading zeros dropped", service_class=_DropsZeros),
    Mutant("coupon nearly found", service_class=_FindsNearly),
    Mutant("filter knows wildcards", service_class=_FiltersByPattern),
    Mutant("amounts capped", service_class=_CapsAmounts),
    Mutant("refused create adds", service_class=_AddsWhenRefused),
    Mutant("ghost coupon", service_class=_CreatesAnother),
    Mutant("every tenth dropped", service_class=_DropsEveryTenth),
    Mutant("stale show", service_class=_ShowsWhatWas),
    Mutant("claimant forgotten", service_class=_ForgetsAClaimant),
    Mutant("claims not found", service_class=_FindsNobody),
    Mutant("list wrong", service_class=_ListsTooMany),
    Mutant("130th claim is a lie", service_class=_LiesOnce),
    Mutant("verify blind", service_class=_VerifiesNothing),
    Mutant("duplicate rewrites", service_class=_RewritesOnDuplicate),
    Mutant("refusals committed", service_class=_CommitsRefusals),
)
