"""Whether event triggers let a drill create and drop its objects; tried in a transaction and rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.schema import CreateSchema, DropSchema

from couponctl.errors import CouponctlError, Guarded, Unavailable
from couponctl.ledger.schema import schema_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.postgres.database import Database


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What a run needs in its schema besides the two tables."""

    unlogged: bool = False
    """Its tables are in no publication, and empty after a crash of the server."""
    triggers: bool = False
    """It uses triggers to cause faults."""

    def ddl(self, schema: str) -> Iterator[str]:
        """Yield a statement of every kind that the run needs besides schema and tables."""
        if self.unlogged:
            yield f"ALTER TABLE {schema}.claims SET UNLOGGED"
        if self.triggers:
            yield f"CREATE SEQUENCE {schema}.trial"
            yield f"CREATE FUNCTION {schema}.trial() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'"
            yield f"CREATE TRIGGER trial AFTER INSERT ON {schema}.claims EXECUTE FUNCTION {schema}.trial()"
            yield f"DROP FUNCTION {schema}.trial CASCADE"
            yield f"DROP SEQUENCE {schema}.trial"


async def check_ddl(
    admin: Database, schema: str, options: SandboxOptions, event_triggers: Sequence[str]
) -> None:
    """Create and drop what a run will, and roll back. Raises Guarded if an event trigger refuses it."""
    try:
        async with admin.session() as session:
            await session.execute(CreateSchema(schema))
            await session.execute(text("SELECT set_config('search_path', :schema, true)"), {"schema": schema})
            raw = await session.connection.get_raw_connection()
            assert raw.driver_connection is not None
            await raw.driver_connection.execute(schema_sql())
            for statement in options.ddl(schema):
                await session.execute(text(statement))
            await session.execute(DropSchema(schema, cascade=True))
    except Unavailable:
        raise
    except Exception as exc:
        if isinstance(exc, CouponctlError) and not _raised_by_a_function(exc):
            raise
        raise Guarded(
            f"an event trigger of this database ({', '.join(event_triggers)}) refuses what this creates "
            f"and drops: a schema, tables{', functions and triggers' if options.triggers else ''}",
            "Have role or schema excepted there, or use another database; nothing was created.",
        ) from exc


def _raised_by_a_function(exc: BaseException) -> bool:
    """Whether a function in the server raised it: DDL calls no functions but event triggers."""
    return any(getattr(cause, "context", None) for cause in _causes(exc))


def _causes(exc: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = exc
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        cause = cause.__cause__
