"""The tables: their place, types, privileges, publications and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.ledger.doctor.diagnosis import Diagnosis, State
from couponctl.ledger.rules import Standing, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from couponctl.ledger.doctor.examination import Examination
    from couponctl.postgres.database import Session


def tables(examination: Examination) -> Iterator[Diagnosis]:
    found, facts = examination.places, examination.facts
    if found.astray:
        yield Diagnosis("tables", State.WRONG, *found.astray)
    elif examination.has_tables:
        where = " and ".join(sorted(set(found.found.values())))
        yield Diagnosis("tables", State.OK, f"coupons and claims are there, in schema {where}")
    elif found.makes_in is None:
        detail = f"the search_path of role {found.role} finds no schema"
        yield Diagnosis(
            "tables", State.WRONG, detail, "Name one that is there: ALTER ROLE ... SET search_path"
        )
    else:
        grant = f"GRANT CREATE, USAGE ON SCHEMA {facts.quoted_schema} TO {facts.quoted_role}; then run "
        lead = "Run " if facts.may_create_tables else grant
        detail = f"missing: {', '.join(examination.lacking)}"
        yield Diagnosis("tables", State.WRONG, detail, f"{lead}`couponctl db init`.")


_TYPES = text("""
    SELECT attrelid::regclass::text AS relation, relname || '.' || attname AS column,
           coalesce(base.typname, own.typname) AS type,
           attnotnull AND NOT atthasdef AND attidentity = '' AS wanted, quote_ident(attname) AS quoted,
           attgenerated <> '' OR attidentity = 'a' AS computed
      FROM pg_attribute
      JOIN pg_class ON pg_class.oid = attrelid
      JOIN pg_type AS own ON own.oid = atttypid
      LEFT JOIN pg_type AS base ON base.oid = own.typbasetype
     WHERE attrelid IN (to_regclass('coupons'), to_regclass('claims')) AND attnum > 0 AND NOT attisdropped
     ORDER BY attrelid, attnum
""")

_TEXT = {
    "text": "",
    "varchar": "",
    "citext": "names that differ in case only are one",
    "bpchar": "names come back filled up with blanks",
}
_NUMBER = {"int4": "", "int8": "", "numeric": "", "int2": "amounts end at 32,767"}
_TIME = {"timestamptz": "", "timestamp": "it holds no time zone", "date": "it holds no time of day"}
_FITTING = {
    "coupons.name": _TEXT,
    "coupons.amount": _NUMBER,
    "coupons.remaining_amount": _NUMBER,
    "coupons.created_at": _TIME,
    "claims.coupon_name": _TEXT,
    "claims.user_id": _TEXT,
    "claims.created_at": _TIME,
}
"""The types that a column may have, each with what may be unexpected about it."""

_FILLED = _FITTING.keys() - {"coupons.created_at", "claims.created_at"}


async def types(session: Session, _visit: Examination) -> list[Diagnosis]:
    rows = (await session.execute(_TYPES)).all()
    found = [finding for row in rows for finding in _type(row)]
    return found or [Diagnosis("types", State.OK, "every column holds what couponctl puts into it")]


def _type(row: Row[Any]) -> Iterator[Diagnosis]:
    fitting = _FITTING.get(row.column)
    if fitting is not None and row.type not in fitting:
        *others, last = (name for name, surprise in fitting.items() if not surprise)
        remedy = f"Make it {' or '.join([*others, last])}."
        yield Diagnosis("types", State.WRONG, f"{row.column} is of type {row.type}", remedy)
    elif fitting is not None and fitting[row.type]:
        yield Diagnosis("types", State.WARNING, f"{row.column} is of type {row.type}: {fitting[row.type]}")
    if row.computed and row.column in _FILLED:
        detail = f"{row.column} is computed by the database, which takes no value for it"
        remedy = f"Make it a plain column: ALTER TABLE {row.relation} ALTER {row.quoted} DROP EXPRESSION"
        yield Diagnosis("types", State.WRONG, detail, remedy)
    if row.wanted and row.column not in _FILLED:
        detail = f"{row.column} must be filled, and couponctl does not know it"
        remedy = f"Give it a default: ALTER TABLE {row.relation} ALTER {row.quoted} SET DEFAULT ..."
        yield Diagnosis("types", State.WRONG, detail, remedy)


_DENIED = text("""
    WITH wanted (relation, privilege, columns, writes) AS (VALUES
        ('coupons', 'SELECT', ARRAY['name', 'amount', 'remaining_amount', 'created_at'], false),
        ('coupons', 'INSERT', ARRAY['name', 'amount', 'remaining_amount'], true),
        ('coupons', 'UPDATE', ARRAY['remaining_amount'], true),
        ('claims', 'SELECT', ARRAY['coupon_name', 'user_id', 'created_at'], false),
        ('claims', 'INSERT', ARRAY['coupon_name', 'user_id'], true)),
    located AS (
        SELECT wanted.*, format('%I.%I', nspname, relname) AS place
          FROM wanted JOIN pg_class ON pg_class.oid = to_regclass(relation)
          JOIN pg_namespace ON pg_namespace.oid = relnamespace)
    SELECT string_agg(privilege, ', ' ORDER BY privilege = 'UPDATE', privilege = 'INSERT') AS privileges,
           place, quote_ident(current_user) AS grantee
      FROM located
     WHERE (:writing OR NOT writes) AND EXISTS (SELECT FROM unnest(columns) AS one
            WHERE NOT has_column_privilege(to_regclass(relation), one, privilege))
     GROUP BY place
    UNION ALL
    -- claims of the older shape number their rows
    SELECT 'USAGE', 'SEQUENCE ' || serial, quote_ident(current_user) FROM pg_attribute,
           pg_get_serial_sequence(attrelid::regclass::text, attname) AS serial
     WHERE attrelid IN (to_regclass('coupons'), to_regclass('claims')) AND attnum > 0 AND NOT attisdropped
       AND attidentity = '' AND serial IS NOT NULL AND :writing
       AND NOT has_sequence_privilege(serial, 'USAGE')
    UNION ALL
    -- whether a claim's coupon exists is looked up as the owner of the coupons
    SELECT 'USAGE', format('SCHEMA %I', nspname), quote_ident(pg_get_userbyid(relowner))
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass('coupons') AND :writing
       AND NOT has_schema_privilege(relowner, relnamespace, 'USAGE')
""")


async def rights(session: Session, examination: Examination) -> list[Diagnosis]:
    """Report missing privileges, one GRANT each; in a read-only context, only those for reading."""
    rows = (await session.execute(_DENIED, {"writing": not examination.read_only})).all()
    may = "read" if examination.read_only else "create and claim"
    return [
        Diagnosis(
            "rights",
            State.WRONG,
            f"role {row.grantee} lacks {row.privileges} on {row.place}",
            f"GRANT {row.privileges} ON {row.place} TO {row.grantee};",
        )
        for row in rows
    ] or [Diagnosis("rights", State.OK, f"role {examination.facts.role} may {may}")]


_WITHOUT_IDENTITY = text("""
    SELECT format('%I.%I', nspname, relname) AS place
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass('coupons')
       AND (relreplident = 'n' OR relreplident = 'd' AND NOT EXISTS (
            SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary AND indisvalid))
       AND EXISTS (SELECT FROM pg_publication_tables JOIN pg_publication USING (pubname)
                    WHERE schemaname = nspname AND tablename = relname AND pubupdate)
""")


async def publications(session: Session, _visit: Examination) -> list[Diagnosis]:
    """Check the replica identity: without it, a published table refuses updates, and so every claim."""
    place = (await session.execute(_WITHOUT_IDENTITY)).scalar_one_or_none()
    if place is None:
        return [Diagnosis("publications", State.OK, "none of them forbids a claim")]
    detail = f"{place} is published without a replica identity, so that every claim is refused"
    return [Diagnosis("publications", State.WRONG, detail, f"ALTER TABLE {place} REPLICA IDENTITY FULL;")]


async def rules(session: Session, _visit: Examination) -> list[Diagnosis]:
    judgement = await judge(session)
    doubtful = (*judgement.of(Standing.MISSING), *judgement.of(Standing.TOO_STRICT))
    found = [Diagnosis("rules", State.WARNING, rule.problem, f"{rule.remedy};") for rule in doubtful]
    found += [Diagnosis("rules", State.OK, rule.problem) for rule in judgement.of(Standing.NOT_TOLD)]
    return found or [Diagnosis("rules", State.OK, "keys and checks guard the ledger")]
