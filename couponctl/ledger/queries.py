"""The queries on the ledger, one function per query."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    String,
    bindparam,
    case,
    column,
    extract,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from couponctl.errors import ClaimNotSeen, CouponNotFound, CouponNotSeen, SchemaUnfit
from couponctl.ledger.tables import LikeItsColumn, claims, coupons, qualified
from couponctl.models import Claim, Claimants, Coupon, CouponPage, Hidden, Sort
from couponctl.postgres.row_security import hidden_by, sight

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Row, Select, TextualSelect

    from couponctl.postgres.database import Session


# Every key is ascending, so that one row comparison finds the next page.
_SORT_KEYS: dict[Sort, ColumnElement[Any]] = {
    Sort.NAME: literal(0),
    Sort.REMAINING: coupons.c.remaining_amount,
    Sort.CLAIMED: coupons.c.remaining_amount - coupons.c.amount,
    Sort.AMOUNT: -coupons.c.amount,
    Sort.CREATED: -func.coalesce(extract("epoch", coupons.c.created_at), 0),
}


_EARLIEST: ColumnElement[Any] = literal_column("'0001-01-02'")
_LATEST: ColumnElement[Any] = literal_column("'9999-12-30'")


def in_calendar(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the moment, or NULL for one outside Python's calendar: infinity, or a year like 20261."""
    return case((moment.between(_EARLIEST, _LATEST), moment)).label("created_at")


_COUPON = (coupons.c.name, coupons.c.amount, coupons.c.remaining_amount, in_calendar(coupons.c.created_at))
_CLAIM = (claims.c.user_id, in_calendar(claims.c.created_at))


def _coupon_of(row: Row[Any]) -> Coupon:
    return Coupon(str(row.name), _units(row.amount), _units(row.remaining_amount), _moment_of(row.created_at))


def _claim_of(row: Row[Any]) -> Claim:
    return Claim(str(row.user_id), _moment_of(row.created_at))


def _units(number: Any) -> int:
    """Convert a number of any type to int. Raises SchemaUnfit if it is not whole."""
    if number != int(number):
        raise SchemaUnfit
    return int(number)


def _moment_of(value: object) -> datetime | date | None:
    """Return a date or datetime, None for any other type."""
    return value if isinstance(value, date) else None


def _as_column(value: str) -> BindParameter[Any]:
    """Bind the value, to be compared as the type of the column beside it compares."""
    return bindparam(None, value, type_=LikeItsColumn(), unique=True)


async def create_coupon(session: Session, name: str, amount: int) -> Coupon | None:
    """Insert a coupon and return it as stored; None if the database drops it without an error."""
    new = insert(coupons).values(name=name, amount=amount, remaining_amount=amount).returning(*_COUPON)
    row = (await session.execute(new)).one_or_none()
    return None if row is None else _coupon_of(row)


_SIGHT = f"SELECT {sight(coupons='to_regclass(:coupons)', claims='to_regclass(:claims)')}"


def _sight(schema: str | None) -> TextualSelect:
    names = {name: qualified(name, schema) for name in ("coupons", "claims")}
    asked = text(_SIGHT).bindparams(**names)
    return asked.columns(column("role", String), column("hides_coupons"), column("hides_claims"))


async def hidden(session: Session) -> Hidden | None:
    """Return what row-level security may hide from the role; None if it sees every coupon and claim."""
    return hidden_by((await session.execute(_sight(session.schema))).one())


async def _seen(session: Session, query: Select[Any], *order: str) -> tuple[list[Row[Any]], Hidden | None]:
    """Return the rows of a query, and what may be hidden, in one statement: one round trip."""
    seen_as = _sight(session.schema).subquery("sight")
    found = query.add_columns(true().label("found")).subquery("page")
    together = select(seen_as, found).join_from(seen_as, found, true(), isouter=True)
    rows = (await session.execute(together.order_by(*(found.c[key] for key in order)))).all()
    return [row for row in rows if row.found], hidden_by(rows[0])


async def find_coupon(session: Session, name: str) -> Coupon | None:
    """Return the coupon of that name, compared as the column's type does."""
    query = select(*_COUPON).where(coupons.c.name == _as_column(name))
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _coupon_of(row)


async def look_up(session: Session, name: str) -> tuple[Coupon, Hidden | None]:
    """Return the coupon, and what may be hidden. Raises CouponNotFound."""
    rows, hidden = await _seen(session, select(*_COUPON).where(coupons.c.name == _as_column(name)))
    if not rows:
        raise not_found(name, hidden)
    return _coupon_of(rows[0]), hidden


def not_found(name: str, hidden: Hidden | None) -> CouponNotFound:
    return CouponNotSeen(name, hidden.role) if hidden and hidden.coupons else CouponNotFound(name)


async def coupon_page(
    session: Session, *, matching: str, sort: Sort, limit: int, after: str | None
) -> CouponPage:
    """Return the page after the coupon `after` of those whose name contains `matching`, ignoring case.

    Raises CouponNotFound if `after` is gone and the order is not by name, where a missing name has a place.
    """
    key = _SORT_KEYS[sort]
    query = select(*_COUPON, key.label("key")).limit(limit + 1)
    if matching:
        query = query.where(coupons.c.name.icontains(matching, autoescape=True))
    if sort is Sort.NAME:
        query = query.order_by(coupons.c.name)
        if after is not None:
            query = query.where(coupons.c.name > _as_column(after))
    else:
        query = query.order_by(key, coupons.c.name)
        if after is not None:
            last = (await session.execute(select(key).where(coupons.c.name == after))).scalar_one_or_none()
            if last is None:
                raise CouponNotFound(after)
            query = query.where(tuple_(key, coupons.c.name) > tuple_(literal(last), literal(after)))
    rows, hidden = await _seen(session, query, "key", "name")
    page = tuple(_coupon_of(row) for row in rows[:limit])
    return CouponPage(page, next=page[-1].name if len(rows) > limit else None, hidden=hidden)


async def claimants(
    session: Session, coupon: Coupon, hidden: Hidden | None, *, limit: int, after: str | None
) -> Claimants:
    """Return the page after the user `after` of the coupon's claimants, by user id."""
    query = select(claims.c.user_id).where(claims.c.coupon_name == coupon.name)
    if after is not None:
        query = query.where(claims.c.user_id > _as_column(after))
    users = (await session.execute(query.order_by(claims.c.user_id).limit(limit + 1))).scalars().all()
    page = tuple(map(str, users[:limit]))
    return Claimants(coupon, page, next=page[-1] if len(users) > limit else None, hidden=hidden)


async def find_claim(session: Session, name: str, user_id: str, hidden: Hidden | None) -> Claim | None:
    """Return the user's claim of the coupon, or None. Raises ClaimNotSeen if it may be hidden."""
    mine = (
        select(*_CLAIM).where(claims.c.coupon_name == name, claims.c.user_id == _as_column(user_id)).limit(1)
    )
    row = (await session.execute(mine)).one_or_none()
    if row is None and hidden and hidden.claims:
        raise ClaimNotSeen(name, user_id, hidden.role)
    return None if row is None else _claim_of(row)


async def all_claims(session: Session, name: str) -> tuple[Claim, ...]:
    """Return every claim of the coupon, by user id."""
    mine = select(*_CLAIM).where(claims.c.coupon_name == name).order_by(claims.c.user_id)
    return tuple(_claim_of(row) for row in await session.execute(mine))


async def newest_claimants(session: Session, name: str, limit: int) -> tuple[Claim, ...]:
    """Return the coupon's latest claims, newest first; in older tables, claims without a time come last.

    No index has the times, so all claims of the coupon are read (in older tables, all claims).
    """
    newest = (
        select(*_CLAIM)
        .where(claims.c.coupon_name == name)
        .order_by(claims.c.created_at.desc().nulls_last(), claims.c.user_id)
        .limit(limit)
    )
    return tuple(_claim_of(row) for row in await session.execute(newest))
