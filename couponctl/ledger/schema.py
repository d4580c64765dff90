"""Creates the tables from `sql/schema.sql`, and finds the columns that they lack."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.ledger.tables import metadata
from couponctl.logs import logger

if TYPE_CHECKING:
    from couponctl.postgres.database import Database, Session


_log = logger(__name__)


def schema_sql() -> str:
    """Return the DDL, the same file in a wheel and in a checkout."""
    return (files("couponctl") / "sql" / "schema.sql").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Applied:
    """Which tables were created, and which were found."""

    created: tuple[str, ...]
    found: tuple[str, ...]
    """Tables that existed before, and are unchanged."""


async def apply_schema(database: Database, *, schema: str | None = None, unlogged: bool = False) -> Applied:
    """Create the missing tables, in `schema` or where the role's search_path says; all or none.

    `unlogged` tables are in no publication, and empty after a crash of the server.
    """
    names = tuple(metadata.tables)
    async with database.session() as session:
        if schema is not None:
            await session.execute(text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
        found = tuple([name for name in names if await _exists(session, name)])
        raw = await session.connection.get_raw_connection()
        assert raw.driver_connection is not None
        await session.execute(text("SELECT 1"))  # opens the transaction that the script runs in
        await raw.driver_connection.execute(schema_sql())
        if unlogged:
            await session.execute(text("ALTER TABLE claims SET UNLOGGED"))  # first: it references the other
            await session.execute(text("ALTER TABLE coupons SET UNLOGGED"))
        await session.commit()
    applied = Applied(tuple(name for name in names if name not in found), found)
    _log.info("Tables made: %s; found: %s.", len(applied.created), len(applied.found))
    return applied


async def ensure_schema(database: Database) -> None:
    """Create the tables unless they exist with all their columns."""
    async with database.session("AUTOCOMMIT") as session:
        complete = not await missing_columns(session)
    if not complete:
        await apply_schema(database)


async def _exists(session: Session, table: str) -> bool:
    found = await session.execute(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table})
    return bool(found.scalar_one())


async def missing_columns(session: Session) -> tuple[str, ...]:
    """Return the columns that the search_path's tables lack, as `table.column`."""
    columns = text("SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0")
    missing = []
    for table in metadata.tables.values():
        found = set((await session.execute(columns, {"table": table.name})).scalars())
        missing += [f"{table.name}.{column.name}" for column in table.columns if column.name not in found]
    return tuple(missing)
