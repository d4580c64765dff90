"""The tables in the database: making them from `sql/schema.sql`, and what they lack."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Row

    from couponctl.database import Database, Session


def schema_sql() -> str:
    """The DDL, the same file in a wheel and in a checkout."""
    return (files("couponctl") / "sql" / "schema.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying the schema did to each table."""

    created: tuple[str, ...]
    found: tuple[str, ...]
    """Tables that were there before and stay as they are."""


async def apply_schema(database: Database, *, schema: str | None = None) -> Applied:
    """Create the tables that are missing, in `schema` or where the role's search_path says; all or none."""
    names = tuple(metadata.tables)
    async with database.session() as session:
        if schema is not None:
            await session.execute(text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
        found = tuple([name for name in names if await _exists(session, name)])
        raw = await session.connection.get_raw_connection()
        assert raw.driver_connection is not None
        await session.execute(text("SELECT 1"))  # opens the transaction that the script runs in
        await raw.driver_connection.execute(schema_sql())
        await session.commit()
    return Applied(tuple(name for name in names if name not in found), found)


async def ensure_schema(database: Database) -> None:
    """Create the tables unless they are there already."""
    async with database.session("AUTOCOMMIT") as session:
        complete = not await missing_columns(session)
    if not complete:
        await apply_schema(database)


async def _exists(session: Session, table: str) -> bool:
    found = await session.execute(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table})
    return bool(found.scalar_one())


async def missing_columns(session: Session) -> tuple[str, ...]:
    """Columns that the search_path's tables lack, as `table.column`."""
    columns = text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0")
    missing = []
    for table in metadata.tables.values():
        found = set((await session.execute(columns, {"table": table.name})).scalars())
        missing += [f"{table.name}.{column.name}" for column in table.columns if column.name not in found]
    return tuple(missing)


_KEYS_AND_RULES = text("""
    SELECT 'unique' AS kind, indrelid::regclass::text AS relation, NULL AS definition,
           (SELECT array_agg(attname::text ORDER BY attname) FROM pg_attribute
             WHERE attrelid = indrelid AND attnum = ANY (indkey)) AS columns
      FROM pg_index
     WHERE indrelid IN (to_regclass(:coupons), to_regclass(:claims))
       AND indisunique AND indisvalid AND indpred IS NULL
    UNION ALL
    SELECT CASE contype WHEN 'c' THEN 'check' ELSE 'foreign' END, conrelid::regclass::text,
           pg_get_constraintdef(oid), NULL
      FROM pg_constraint
     WHERE conrelid IN (to_regclass(:coupons), to_regclass(:claims))
       AND (contype = 'c' OR contype = 'f' AND confrelid = to_regclass(:coupons))
       AND convalidated
""")


async def missing_rules(session: Session, schema: str | None = None) -> tuple[str, ...]:
    """The rules that should guard the ledger and do not, each with the DDL that adds it.

    Looked for by what they forbid, never by name: the tables may be older than couponctl.
    """
    prefix = f"{schema}." if schema else ""
    tables = {"coupons": f"{prefix}coupons", "claims": f"{prefix}claims"}
    rows = (await session.execute(_KEYS_AND_RULES, tables)).all()
    return tuple(_lacking(rows))


def _lacking(rows: Sequence[Row[Any]]) -> Iterator[str]:
    unique = [set(row.columns) for row in rows if row.kind == "unique"]
    checks = " ".join(row.definition for row in rows if row.kind == "check")
    if not any(columns == {"name"} for columns in unique):
        yield "nothing keeps coupon names unique: ALTER TABLE coupons ADD PRIMARY KEY (name)"
    if not any(columns == {"coupon_name", "user_id"} for columns in unique):
        yield "nothing keeps a user from claiming twice: ALTER TABLE claims ADD UNIQUE (coupon_name, user_id)"
    if "remaining_amount >= 0" not in checks:
        yield "nothing keeps stock above zero: ALTER TABLE coupons ADD CHECK (remaining_amount >= 0)"
    if not any(row.kind == "foreign" for row in rows):
        yield (
            "nothing keeps claims from naming a coupon that does not exist: "
            "ALTER TABLE claims ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name)"
        )
