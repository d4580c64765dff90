"""The rules that should guard the ledger, judged by what the tables forbid, not by how that is written.

Keys and references are read from the catalog. Checks are evaluated for made-up rows: nothing in the
tables is read, written or locked, and no trigger fires.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.ledger.rules.keys import reference_judged, uniqueness_judged
from couponctl.ledger.rules.pg_catalog import tables_of
from couponctl.ledger.rules.rule import Rule, Standing, Wanted
from couponctl.ledger.rules.stock import stock_judged

if TYPE_CHECKING:
    from couponctl.postgres.database import Database, Session

__all__ = ["Judgement", "Rule", "Standing", "judge", "judged"]

_NAMES = Wanted(
    "coupon names are unique",
    "nothing keeps coupon names unique",
    "ALTER TABLE coupons ADD PRIMARY KEY (name)",
)
_ONE_A_USER = Wanted(
    "a user claims a coupon once",
    "nothing keeps a user from claiming twice",
    "ALTER TABLE claims ADD UNIQUE (coupon_name, user_id)",
)
_STOCK = Wanted(
    "stock stays above zero",
    "nothing keeps stock above zero",
    "ALTER TABLE coupons ADD CHECK (remaining_amount >= 0)",
)
_REFERENCE = Wanted(
    "claims are of coupons that exist",
    "nothing keeps claims from naming a coupon that does not exist",
    "ALTER TABLE claims ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name)",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """All rules, with their standings."""

    rules: tuple[Rule, ...]

    def of(self, standing: Standing) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.standing is standing)


async def judge(session: Session) -> Judgement:
    """Judge the tables, which must exist, in a transaction that this does not end."""
    tables = await tables_of(session)
    return Judgement(
        (
            uniqueness_judged(_NAMES, tables.coupons, frozenset({"name"})),
            uniqueness_judged(_ONE_A_USER, tables.claims, frozenset({"coupon_name", "user_id"})),
            await stock_judged(_STOCK, session, tables.coupons),
            reference_judged(_REFERENCE, tables),
        )
    )


async def judged(database: Database) -> Judgement:
    """Judge the tables in a transaction of its own."""
    async with database.session() as session:
        return await judge(session)
