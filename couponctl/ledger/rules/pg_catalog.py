"""The two tables in PostgreSQL's catalog: their kind, keys and references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from couponctl.postgres.database import Session

TRIGGER = "a trigger or a rewrite rule of {table} may see to it"
PARTITIONS = "the partitions of {table} have constraints of their own"

_KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table, whose own server keeps its rules",
}


@dataclass(frozen=True, slots=True)
class Key:
    """A unique index or an exclusion constraint."""

    name: str
    """Quoted for SQL."""
    columns: frozenset[str]
    """The columns that it compares, without included ones and those inside expressions."""
    used: frozenset[str]
    """All columns that it depends on, including its expressions and condition."""
    whole: bool
    """It compares only columns, for equality, over all rows."""
    constraint: bool
    """It belongs to a constraint, with which it is dropped."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An enforced foreign key from claims to coupons."""

    to_the_name: bool
    """coupon_name references name, perhaps among other columns."""
    always: bool
    """No claim is exempt because one of several columns is null."""


@dataclass(frozen=True, slots=True)
class Table:
    """One of the two tables."""

    name: str
    relation: str
    """Its name for to_regclass."""
    kind: str
    """PostgreSQL's relkind: `r` for a table, `p` for a partitioned one."""
    has_heirs: bool
    """Other tables inherit from it, but not its keys."""
    may_guard_itself: bool
    """It has triggers or rewrite rules on inserts or updates."""
    partitions_differ: bool
    """Its partitions have keys, checks or references that it lacks."""
    keys: tuple[Key, ...]

    @property
    def no_table(self) -> str:
        """Why its rules cannot be looked up; empty for a table."""
        return "" if self.kind in {"r", "p"} else f"{self.name} is {_KINDS.get(self.kind, 'no table')}"

    @property
    def perhaps(self) -> str:
        """What else may enforce a rule that no key or check enforces; empty if nothing."""
        if self.may_guard_itself:
            return TRIGGER.format(table=self.name)
        return PARTITIONS.format(table=self.name) if self.partitions_differ else ""


@dataclass(frozen=True, slots=True)
class Tables:
    coupons: Table
    claims: Table
    references: tuple[Reference, ...]


# tgtype & 20: on inserts or updates. ev_type 1: the rewrite rule of a view.
_TABLES = text("""
    SELECT pg_class.oid, relkind::text AS kind,
           relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid) AS has_heirs,
           EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = pg_class.oid AND NOT tgisinternal AND tgenabled NOT IN ('D', 'R')
                      AND tgtype & 20 > 0)
               OR EXISTS (SELECT FROM pg_rewrite
                           WHERE ev_class = pg_class.oid AND ev_type <> '1' AND ev_enabled NOT IN ('D', 'R'))
               AS may_guard_itself,
           relkind = 'p' AND EXISTS (
               SELECT FROM pg_inherits WHERE inhparent = pg_class.oid AND (
                   EXISTS (SELECT FROM pg_constraint
                            WHERE conrelid = inhrelid AND conislocal AND conparentid = 0
                              AND contype IN ('c', 'f', 'p', 'u', 'x'))
                   OR EXISTS (SELECT FROM pg_index
                               WHERE indrelid = inhrelid AND indisunique
                                 AND NOT EXISTS (SELECT FROM pg_inherits AS above
                                                  WHERE above.inhrelid = indexrelid)))
           ) AS partitions_differ
      FROM pg_class
     WHERE pg_class.oid = to_regclass(:relation)
""")

_KEYS = text("""
    SELECT quote_ident(coalesce(conname, relname)) AS name,
           conname IS NOT NULL AS is_constraint,
           indisunique AND indexprs IS NULL AND indpred IS NULL AS whole,
           ARRAY(SELECT attname::text FROM pg_attribute
                  WHERE attrelid = indrelid AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1])
                    AND attnum > 0) AS columns,
           ARRAY(SELECT attname::text FROM pg_attribute, pg_depend
                  WHERE attrelid = indrelid AND refobjid = indrelid AND attnum = refobjsubid AND attnum > 0
                    AND classid = 'pg_class'::regclass AND objid = indexrelid
                    AND refclassid = 'pg_class'::regclass) AS used
      FROM pg_index
      JOIN pg_class ON pg_class.oid = indexrelid
      LEFT JOIN pg_constraint ON conindid = indexrelid AND contype IN ('p', 'u', 'x')
     WHERE indrelid = :oid AND (indisunique OR indisexclusion) AND indisvalid AND indisready AND indislive
""")

# NOT VALID exempts only earlier rows, which are audited. `conenforced` is new in PostgreSQL 18; a disabled
# trigger is one that an ordinary session does not fire.
_REFERENCES = text("""
    SELECT EXISTS (
               SELECT FROM unnest(conkey, confkey) AS pair (here, there)
                 JOIN pg_attribute AS mine ON mine.attrelid = conrelid AND mine.attnum = here
                 JOIN pg_attribute AS its ON its.attrelid = confrelid AND its.attnum = there
                WHERE mine.attname = 'coupon_name' AND its.attname = 'name') AS to_the_name,
           cardinality(conkey) = 1 OR NOT EXISTS (
               SELECT FROM pg_attribute
                WHERE attrelid = conrelid AND attnum = ANY (conkey) AND NOT attnotnull) AS always
      FROM pg_constraint
     WHERE conrelid = :claims AND confrelid = :coupons AND contype = 'f'
       AND coalesce((to_jsonb(pg_constraint) ->> 'conenforced')::bool, true)
       AND NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgconstraint = pg_constraint.oid AND tgrelid = conrelid
                          AND tgenabled IN ('D', 'R'))
""")


async def tables_of(session: Session) -> Tables:
    """Read both tables, which must exist."""
    prefix = f"{session.schema}." if session.schema else ""
    found = [await _found(session, name, prefix + name) for name in ("coupons", "claims")]
    (coupons, coupons_oid), (claims, claims_oid) = found
    rows = await session.execute(_REFERENCES, {"coupons": coupons_oid, "claims": claims_oid})
    return Tables(coupons, claims, tuple(Reference(row.to_the_name, row.always) for row in rows))


async def _found(session: Session, name: str, relation: str) -> tuple[Table, int]:
    row = (await session.execute(_TABLES, {"relation": relation})).one()
    keys = (await session.execute(_KEYS, {"oid": row.oid})).all()
    table = Table(
        name, relation, row.kind, row.has_heirs, row.may_guard_itself, row.partitions_differ, _keys(keys)
    )
    return table, row.oid


def _keys(rows: Sequence[Row[Any]]) -> tuple[Key, ...]:
    return tuple(
        Key(
            name=row.name,
            columns=frozenset(row.columns),
            used=frozenset({*row.columns, *row.used}),
            whole=row.whole,
            constraint=row.is_constraint,
        )
        for row in rows
    )
