"""The two tables for SQLAlchemy Core; `sql/schema.sql` creates them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    func,
)
from sqlalchemy.types import UserDefinedType


class LikeItsColumn(UserDefinedType[Any]):
    """A parameter that has the type of the column beside it: in citext, `sale` and `Sale` are equal."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        raise AssertionError("no column is of this type")


metadata = MetaData()

coupons = Table(
    "coupons",
    metadata,
    Column("name", String(255), nullable=False),
    Column("amount", Integer, nullable=False),
    Column("remaining_amount", Integer, nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("name", name="coupons_pkey"),
    CheckConstraint("amount > 0", name="coupons_amount_positive"),
    CheckConstraint(
        "remaining_amount >= 0 AND remaining_amount <= amount", name="coupons_remaining_within_amount"
    ),
)

claims = Table(
    "claims",
    metadata,
    Column("coupon_name", String(255), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("created_at", TIMESTAMP(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("coupon_name", "user_id", name="claims_pkey"),
    ForeignKeyConstraint(["coupon_name"], ["coupons.name"], name="claims_coupon_name_fkey"),
)


def qualified(table: str, schema: str | None) -> str:
    """Return the table's name as to_regclass takes it."""
    return table if schema is None else f"{schema}.{table}"
