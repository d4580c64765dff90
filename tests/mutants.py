"""Claims that are wrong on purpose: a drill that does not catch them proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from couponctl.claims import Strategy
from couponctl.models import Outcome
from couponctl.tables import claims, coupons

if TYPE_CHECKING:
    from couponctl.database import Session


async def _check_then_act(session: Session, name: str, user_id: str) -> Outcome:
    """Reads the stock without locking the row, so that many see the same last units."""
    found = await session.execute(select(coupons.c.remaining_amount).where(coupons.c.name == name))
    remaining = found.scalar_one()
    if remaining <= 0:
        return Outcome.SOLD_OUT
    await session.execute(text("SELECT pg_sleep(0.01)"))
    await session.execute(insert(claims).values(coupon_name=name, user_id=user_id))
    await session.execute(
        update(coupons).where(coupons.c.name == name).values(remaining_amount=remaining - 1)
    )
    await session.commit()
    return Outcome.CLAIMED


async def _decrement_first(session: Session, name: str, user_id: str) -> Outcome:
    """Takes the unit before it knows whether the claim is new, so that duplicates burn stock."""
    taken = await session.execute(
        update(coupons)
        .where(coupons.c.name == name, coupons.c.remaining_amount > 0)
        .values(remaining_amount=coupons.c.remaining_amount - 1)
        .returning(coupons.c.name)
    )
    if taken.one_or_none() is None:
        return Outcome.SOLD_OUT
    inserted = await session.execute(
        insert(claims)
        .values(coupon_name=name, user_id=user_id)
        .on_conflict_do_nothing()
        .returning(claims.c.user_id)
    )
    await session.commit()
    return Outcome.CLAIMED if inserted.one_or_none() else Outcome.ALREADY_CLAIMED


CHECK_THEN_ACT = Strategy("check-then-act", _check_then_act, "READ COMMITTED")
DECREMENT_FIRST = Strategy("decrement-first", _decrement_first, "READ COMMITTED")
