"""What row-level security hides from a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.models import Hidden

if TYPE_CHECKING:
    from sqlalchemy import Row

# Permissive policies are OR-ed, restrictive ones AND-ed; one that is literally true hides nothing. Where
# row-level security is not active for the role, as nearly everywhere, the rest is not evaluated.
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
    """Return SQL for the columns that `hidden_by` reads; the arguments are SQL for the tables' oids."""
    return f"""
        current_user::text AS role,
        {_HIDES.format(oid=coupons)} AS hides_coupons,
        {_HIDES.format(oid=claims)} AS hides_claims
    """


def hidden_by(row: Row[Any]) -> Hidden | None:
    """Read the columns of `sight`; None if nothing is hidden."""
    if not (row.hides_coupons or row.hides_claims):
        return None
    return Hidden(row.role, coupons=bool(row.hides_coupons), claims=bool(row.hides_claims))
