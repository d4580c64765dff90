"""What row-level security keeps from a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.models import Hidden

if TYPE_CHECKING:
    from sqlalchemy import Row

# Policies that let a role read are OR-ed, those that restrict it are AND-ed; one that is literally true hides
# nothing. Where no policy is in force for the role, which is nearly everywhere, the rest is not looked at.
_HIDES = """
    CASE WHEN row_security_active({oid}) THEN (
        SELECT NOT coalesce(bool_or(literally_true) FILTER (WHERE polpermissive), false)
               OR coalesce(bool_or(NOT literally_true) FILTER (WHERE NOT polpermissive), false)
          FROM (SELECT polpermissive, pg_get_expr(polqual, polrelid) = 'true' AS literally_true
                  FROM pg_policy
                 WHERE polrelid = {oid} AND polcmd IN ('r', '*')
                   AND (polroles = '{{0}}' OR EXISTS (
                       SELECT FROM unnest(polroles) AS its WHERE pg_has_role(its, 'USAGE')))) AS policies)
    ELSE false END
"""


def sight(*, coupons: str, claims: str) -> str:
    """SQL for the columns that `hidden_by` reads, of tables whose oids these expressions are."""
    return f"""
        current_user::text AS role,
        {_HIDES.format(oid=coupons)} AS hides_coupons,
        {_HIDES.format(oid=claims)} AS hides_claims
    """


def hidden_by(row: Row[Any]) -> Hidden | None:
    """What the columns of `sight` tell; None where nothing is hidden."""
    if not (row.hides_coupons or row.hides_claims):
        return None
    return Hidden(row.role, coupons=bool(row.hides_coupons), claims=bool(row.hides_claims))
