"""The engine and its pool: when a connection is pinged, and when it is discarded."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine

from couponctl.logs import logger
from couponctl.postgres.errors import READ_ONLY, sqlstate_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg
    from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from couponctl.postgres.limits import Limits

_RESTED = 0.05
"""Seconds idle in the pool after which a connection is pinged before it is lent again."""

_CAME_BACK = "came back"

_log = logger(__name__)


def engine_on(
    connect: Callable[[], Awaitable[asyncpg.Connection]], limits: Limits, schema: str | None
) -> AsyncEngine:
    """Return an engine that opens connections with `connect` and pings those that were idle."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.acquire_timeout,
        pool_use_lifo=True,
        execution_options={"schema_translate_map": {None: schema}} if schema else {},
    )

    @event.listens_for(engine.sync_engine, "checkin")
    def note_the_time(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_CAME_BACK] = monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def try_out_what_has_rested(
        connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        # SQLAlchemy's pre-ping takes three round trips at every checkout: in a storm, as long as the claim.
        came_back = entry.info.get(_CAME_BACK)
        if came_back is not None and monotonic() - came_back > _RESTED:
            try:
                engine.sync_engine.dialect.do_ping(connection)
            except Exception as exc:
                rested = monotonic() - came_back
                _log.info("A connection that had rested %.1f s was dead, and is replaced.", rested)
                # Invalidate here: a cancellation while SQLAlchemy closes it would leak its place for good.
                entry.invalidate(exc)
                raise DisconnectionError from exc

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_a_demoted_primary(context: ExceptionContext) -> None:
        if sqlstate_of(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return engine
