"""Row-level security: which rows the role may not see or write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.ledger.doctor.diagnosis import Diagnosis, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from couponctl.ledger.doctor.examination import Examination
    from couponctl.postgres.database import Session

# A policy's command `*` is all commands; role 0 is PUBLIC.
_POLICIES = text("""
    WITH wanted (relation, command, privilege) AS (VALUES
        ('coupons', 'r', 'SELECT'), ('coupons', 'a', 'INSERT'), ('coupons', 'w', 'UPDATE'),
        ('claims', 'r', 'SELECT'), ('claims', 'a', 'INSERT')),
    applying AS (
        SELECT polrelid, polcmd::text AS command, polpermissive AS permissive,
               coalesce(pg_get_expr(polqual, polrelid), 'true') AS seen,
               coalesce(pg_get_expr(polwithcheck, polrelid), pg_get_expr(polqual, polrelid), 'true') AS kept
          FROM pg_policy
         WHERE EXISTS (SELECT FROM unnest(polroles) AS one WHERE one = 0 OR pg_has_role(one, 'USAGE')))
    SELECT format('%I.%I', nspname, relname) AS place, privilege, quote_ident(current_user) AS role,
           bool_or(permissive) IS TRUE AS allowed,
           bool_or(permissive AND literal) IS TRUE AND bool_and(permissive OR literal) IS TRUE AS freely
      FROM wanted
      JOIN pg_class ON pg_class.oid = to_regclass(relation)
      JOIN pg_namespace ON pg_namespace.oid = relnamespace
      LEFT JOIN applying ON polrelid = pg_class.oid AND applying.command IN (wanted.command, '*')
      LEFT JOIN LATERAL (SELECT (wanted.command = 'a' OR seen = 'true')
                            AND (wanted.command = 'r' OR kept = 'true') AS literal) AS judged ON true
     WHERE row_security_active(pg_class.oid)
     GROUP BY place, privilege, wanted.command ORDER BY place, wanted.command <> 'r', wanted.command
""")


async def policies(session: Session, examination: Examination) -> list[Diagnosis]:
    """Check what row-level security hides from this role, and what it refuses to it."""
    rows = (await session.execute(_POLICIES)).all()
    if examination.read_only:
        rows = [row for row in rows if row.privilege == "SELECT"]
    found = [finding for row in rows for finding in _judged(row)]
    return found or [Diagnosis("policies", State.OK, "no row is hidden from this role")]


def _judged(row: Row[Any]) -> Iterator[Diagnosis]:
    clause = "WITH CHECK" if row.privilege == "INSERT" else "USING"
    policy = f"CREATE POLICY couponctl_{row.privilege.lower()} ON {row.place} FOR {row.privilege}"
    remedy = f"{policy} TO {row.role} {clause} (true);"
    if not row.allowed:
        means = "it sees no row" if row.privilege == "SELECT" else "that is refused, or meets no row"
        detail = f"no policy lets role {row.role} {row.privilege} {row.place}: {means}"
        yield Diagnosis("policies", State.WRONG, detail, remedy)
    elif row.freely:
        return
    elif row.privilege == "SELECT":
        detail = f"policies may hide rows of {row.place} from role {row.role}: "
        detail += "list, show, stats and verify speak of what it may see"
        yield Diagnosis("policies", State.WARNING, detail, "For the whole ledger take a role with BYPASSRLS.")
    else:
        detail = f"policies may refuse role {row.role} to {row.privilege} rows of {row.place}"
        yield Diagnosis("policies", State.WARNING, detail)
