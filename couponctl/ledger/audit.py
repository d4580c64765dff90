"""The audit of `verify`: counters compared with claims, in one snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select, true

from couponctl.ledger import queries
from couponctl.ledger.rules import Standing, judge
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Audit, Finding, FindingKind
from couponctl.present import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Row, Select

    from couponctl.models import Hidden
    from couponctl.postgres.database import Database, Session


async def audit(database: Database, names: Sequence[str] = ()) -> Audit:
    """Audit these coupons, or all of them. Raises CouponNotFound.

    Rows that row-level security may hide are not taken for missing: a claim that is not seen may exist, and
    so may the coupon of a claim.
    """
    async with database.session("REPEATABLE READ") as session:
        hidden = await queries.hidden(session)
        await _check_all_exist(session, names, hidden)
        only_coupons = coupons.c.name.in_(names) if names else true()
        only_claims = claims.c.coupon_name.in_(names) if names else true()
        coupon_count = await session.execute(select(func.count()).select_from(coupons).where(only_coupons))
        claim_count = await session.execute(select(func.count()).select_from(claims).where(only_claims))
        # Streamed: all coupons may deviate, which is more than one answer may hold.
        deviating = await session.connection.stream(_deviating(names))
        findings = [finding async for row in deviating for finding in _findings(row, hidden)]
        judgement = await judge(session)
    missing = judgement.of(Standing.MISSING)
    findings += [Finding(None, FindingKind.MISSING_CONSTRAINT, rule.words) for rule in missing]
    return Audit(
        coupon_count.scalar_one(),
        claim_count.scalar_one(),
        tuple(findings),
        not_told=tuple(rule.words for rule in judgement.of(Standing.NOT_TOLD)),
        hidden=hidden,
    )


async def _check_all_exist(session: Session, names: Sequence[str], hidden: Hidden | None) -> None:
    known = set((await session.execute(select(coupons.c.name).where(coupons.c.name.in_(names)))).scalars())
    for name in names:
        if name not in known:
            raise queries.not_found(name, hidden)


def _deviating(names: Sequence[str]) -> Select[Any]:
    """Select coupons that do not match their claims, and claims without a coupon."""
    counted = (
        select(
            claims.c.coupon_name,
            func.count().label("claims"),
            func.count(claims.c.user_id.distinct()).label("users"),
        )
        .where(claims.c.coupon_name.in_(names) if names else true())
        .group_by(claims.c.coupon_name)
        .cte("counted")
    )
    name = func.coalesce(coupons.c.name, counted.c.coupon_name)
    claimed = func.coalesce(counted.c.claims, 0)
    return (
        select(
            name.label("name"),
            coupons.c.amount,
            coupons.c.remaining_amount,
            claimed.label("claims"),
            func.coalesce(counted.c.users, 0).label("users"),
        )
        .select_from(coupons.join(counted, coupons.c.name == counted.c.coupon_name, full=True))
        .where(name.in_(names) if names else true())
        .where(
            or_(
                coupons.c.name.is_(None),
                coupons.c.remaining_amount != coupons.c.amount - claimed,
                coupons.c.remaining_amount < 0,
                counted.c.claims != counted.c.users,
            )
        )
        .order_by(name)
    )


def _findings(row: Row[Any], hidden: Hidden | None) -> Iterator[Finding]:
    if row.amount is None:
        if hidden and hidden.coupons:
            return
        detail = f"{counted(row.claims, 'claim')} of a coupon that does not exist"
        yield Finding(row.name, FindingKind.ORPHAN_CLAIM, detail)
        return
    unclaimed = row.amount - row.claims
    if unclaimed < 0:
        yield Finding(
            row.name, FindingKind.OVERSOLD, f"{counted(row.claims, 'claim')} of {counted(row.amount, 'unit')}"
        )
    if row.remaining_amount < 0:
        detail = f"the counter says {row.remaining_amount} left"
        yield Finding(row.name, FindingKind.NEGATIVE_STOCK, detail)
    elif row.remaining_amount > unclaimed:
        detail = f"the counter says {row.remaining_amount} left, {max(unclaimed, 0)} are unclaimed: too many"
        yield Finding(row.name, FindingKind.OVERSTATED_STOCK, detail)
    elif row.remaining_amount < unclaimed and not (hidden and hidden.claims):
        detail = f"the counter says {row.remaining_amount} left, {unclaimed} are unclaimed: too few"
        yield Finding(row.name, FindingKind.LOST_STOCK, detail)
    if row.claims > row.users:
        detail = f"{counted(row.claims, 'claim')} by {counted(row.users, 'user')}"
        yield Finding(row.name, FindingKind.DUPLICATE_CLAIM, detail)
