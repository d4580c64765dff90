"""A drill's own schema: created for one run, dropped however it ends, found again if that failed."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.schema import CreateSchema, DropSchema

from couponctl.aio.cancellation import shielded
from couponctl.ledger.schema import apply_schema
from couponctl.logs import logger
from couponctl.sandbox.ddl_check import check_ddl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from couponctl.postgres.database import Database
    from couponctl.sandbox.ddl_check import SandboxOptions
    from couponctl.sandbox.preflight import Preflight

_log = logger(__name__)

_PREFIX = "couponctl_drill_"
_OURS = re.compile(rf"{_PREFIX}([0-9a-f]{{8}})")


def schema_of(run_id: str) -> str:
    return _PREFIX + run_id


def application_of(run_id: str) -> str:
    """Return the application_name of the pool under attack, which this run may terminate."""
    return f"couponctl/drill-{run_id}"


def admin_of(run_id: str) -> str:
    """Return the application_name of the admin connections; the run is alive while one is connected."""
    return f"couponctl/admin-{run_id}"


@dataclass(slots=True)
class OnServer:
    """What a run has on the server at this moment."""

    schema: str | None = None
    """Set from its creation until it is dropped."""


@asynccontextmanager
async def isolated_schema(
    admin: Database, run_id: str, on_server: OnServer, preflight: Preflight, options: SandboxOptions
) -> AsyncIterator[str]:
    """Create a schema with the two tables for this run, and drop it on exit. Raises as `check_ddl`."""
    schema = schema_of(run_id)
    if preflight.facts.event_triggers:
        await check_ddl(admin, schema, options, preflight.facts.event_triggers)
    on_server.schema = schema
    try:
        async with admin.session() as session:
            await session.execute(CreateSchema(schema))
            await session.commit()
        _log.info("Schema %s was made.", schema)
        await apply_schema(admin, schema=schema, unlogged=options.unlogged)
        yield schema
    finally:
        await shielded(_clean_up(admin, run_id, on_server))


async def _clean_up(admin: Database, run_id: str, on_server: OnServer) -> None:
    try:
        await _drop(admin, run_id)
    except BaseException as error:
        _log.warning("Schema %s is left on the server: %s.", schema_of(run_id), type(error).__name__)
        raise
    on_server.schema = None


async def _drop(admin: Database, run_id: str) -> None:
    """Terminate a run's backends, which could hold locks in its schema, and drop the schema."""
    async with admin.session() as session:
        ended = await session.execute(_TERMINATE_OWN, {"application": application_of(run_id)})
        if number := len(ended.all()):
            _log.info("%s backends of run %s were terminated, before its schema.", number, run_id)
        await session.execute(DropSchema(schema_of(run_id), cascade=True, if_exists=True))
        await session.commit()
    _log.info("Schema %s was dropped.", schema_of(run_id))


_TERMINATE_OWN = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = :application AND usename = current_user
       AND datname = current_database() AND pid <> pg_backend_pid()
""")

_LEFTOVERS = text(r"""
    SELECT nspname AS schema,
           EXISTS (SELECT FROM pg_stat_activity
                    WHERE application_name = 'couponctl/admin-' || right(nspname, 8)) AS running
      FROM pg_namespace
     WHERE nspname ~ '^couponctl_drill_[0-9a-f]{8}$' AND pg_has_role(nspowner, 'USAGE')
     ORDER BY nspname
""")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A drill's schema on the server."""

    schema: str
    running: bool
    """Its run is still alive, so it is not a leftover yet."""


async def leftovers(admin: Database) -> tuple[Leftover, ...]:
    """Return the schemas of drills that this role may drop."""
    async with admin.session("AUTOCOMMIT") as session:
        rows = (await session.execute(_LEFTOVERS)).all()
    return tuple(Leftover(row.schema, row.running) for row in rows)


async def remove_all(admin: Database, found: Sequence[Leftover]) -> None:
    """Terminate the backends of crashed runs, and drop their schemas."""
    for leftover in found:
        ours = _OURS.fullmatch(leftover.schema)
        assert ours is not None
        _log.info("Schema %s was left by a run that has died.", leftover.schema)
        await shielded(_drop(admin, ours.group(1)))
