"""What a drill must not leave behind: tasks, connections, descriptors and backends."""

from __future__ import annotations

import asyncio
import resource
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import text

from couponctl.drills.check import Check, equals, none_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.postgres.database import Database

T = TypeVar("T")

_SETTLING = 3.0
"""Seconds that the server and the event loop get to notice closed connections."""

_DESCRIPTORS = next((Path(p) for p in ("/proc/self/fd", "/dev/fd") if Path(p).is_dir()), None)

_MEMORY = Path("/proc/self/statm")

_BACKENDS = text("""
    SELECT count(*) AS backends,
           count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
           count(*) FILTER (WHERE wait_event_type = 'Lock') AS lock_waits,
           count(*) FILTER (WHERE state = 'idle' AND pid IN (SELECT pid FROM pg_locks)) AS holding
      FROM pg_stat_activity
     WHERE application_name = :application AND datname = current_database()
""")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a run holds of this process and of the server at one moment."""

    tasks: int
    descriptors: int
    """File descriptors; 0 if the system does not report them."""
    backends: int
    threads: int
    """Without asyncio's worker threads, of which it may start one at any time."""

    def beyond(self, other: Footprint) -> list[str]:
        """Return, in words, what is held in excess of the other."""
        return [
            f"{mine - theirs} {what}"
            for what, mine, theirs in (
                ("tasks", self.tasks, other.tasks),
                ("descriptors", self.descriptors, other.descriptors),
                ("backends", self.backends, other.backends),
                ("threads", self.threads, other.threads),
            )
            if mine > theirs
        ]


async def footprint(admin: Database, application: str) -> Footprint:
    """Measure the footprint now; `application` is the application_name of the pool under attack."""
    async with admin.session("AUTOCOMMIT") as session:
        backends = (await session.execute(_BACKENDS, {"application": application})).one().backends
    descriptors = len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS else 0
    threads = sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate())
    return Footprint(len(asyncio.all_tasks()), descriptors, backends, threads)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes; 0 if the system does not report it."""
    if not _MEMORY.exists():
        return 0
    return int(_MEMORY.read_text().split()[1]) * resource.getpagesize()


async def rest_checks(admin: Database, database: Database) -> list[Check]:
    """After the attack, before the pool closes: check that every connection is returned as it was lent."""
    application, pool = database.application, database.pool_stats()

    async def stuck() -> tuple[int, int, int]:
        async with admin.session("AUTOCOMMIT") as session:
            row = (await session.execute(_BACKENDS, {"application": application})).one()
        return row.idle_in_transaction, row.lock_waits, row.holding

    idle_in_transaction, lock_waits, holding = await _settled(stuck, (0, 0, 0))
    return [
        equals("connections-in-use", "connections still out of the pool", 0, pool.in_use),
        equals("connection-waits", "claims still waiting for a connection", 0, pool.waiting),
        equals("idle-in-transaction", "backends idle in transaction", 0, idle_in_transaction),
        equals("lock-waits", "backends waiting for a lock", 0, lock_waits),
        equals("idle-with-locks", "idle backends that hold a lock", 0, holding),
        none_of("settings-left", "settings left on pooled connections", await _settings_left(database)),
    ]


# asyncpg itself sets jit, and sets it back, when it looks up the types of a statement.
_SETTINGS = text("""
    SELECT name || ' = ' || setting FROM pg_settings WHERE source = 'session' AND setting <> reset_val
    UNION ALL SELECT 'temporary table ' || relname FROM pg_class
               WHERE relnamespace = pg_my_temp_schema() AND relkind IN ('r', 'S', 'v')
    UNION ALL SELECT 'LISTEN ' || channel FROM pg_listening_channels() AS channel
    UNION ALL SELECT 'PREPARE ' || name FROM pg_prepared_statements WHERE from_sql
""")


async def _settings_left(database: Database) -> set[str]:
    """Return what claims SET or created on pooled connections and left for the next claims."""
    found: set[str] = set()
    async with AsyncExitStack() as borrowed:
        for _ in range(database.pool_stats().idle):
            session = await borrowed.enter_async_context(database.session("AUTOCOMMIT"))
            found |= {*(await session.execute(_SETTINGS)).scalars()}
    return found


async def leak_checks(admin: Database, application: str, before: Footprint) -> list[Check]:
    """After the pool has closed: check that all is as it was before it opened."""
    after = await _settled(lambda: footprint(admin, application), before)
    return [
        equals("tasks-left", "tasks left running", 0, after.tasks - before.tasks),
        equals("descriptors-left", "file descriptors left open", 0, after.descriptors - before.descriptors),
        equals("backends-left", "backends left on the server", 0, after.backends - before.backends),
        equals("threads-left", "threads left running", 0, after.threads - before.threads),
    ]


async def _settled(measure: Callable[[], Awaitable[T]], expected: T) -> T:
    """Return the first measurement that is as expected, or the last one if the time runs out."""
    deadline = monotonic() + _SETTLING
    while (measured := await measure()) != expected and monotonic() < deadline:
        await asyncio.sleep(0.02)
    return measured
