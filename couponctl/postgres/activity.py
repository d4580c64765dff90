"""The server's current activity in this database, and which backends block which."""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.models import Activity, Backend, Blocking
from couponctl.postgres.database import open_database
from couponctl.postgres.server_stats import CLIENT_BACKEND, server_stats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from sqlalchemy import Row

    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

MOST_BACKENDS = 200
"""Maximum number of backends listed, and of lock waits traced."""

_QUERY_LENGTH = 1000
"""Maximum characters of a statement; a server may be set to keep a megabyte of each."""

# pg_blocking_pids and pg_locks stop the lock manager for a moment: the first is called only for backends
# that wait for a lock, the second only if there are any. Backends that block without waiting are listed
# first, so that a crowd of lock waits cannot push their cause off the list.
_BACKENDS = text(f"""
    WITH processes AS MATERIALIZED (
        SELECT *, datname = current_database() AND {CLIENT_BACKEND} AS is_client
          FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    ), waiting AS MATERIALIZED (
        SELECT pid, pg_blocking_pids(pid) AS blocked_by
          FROM (SELECT pid FROM processes WHERE is_client AND wait_event_type = 'Lock'
                 ORDER BY query_start LIMIT :most) AS longest
    ), locks AS MATERIALIZED (
        SELECT pid, waitstart FROM pg_locks WHERE NOT granted AND EXISTS (SELECT FROM waiting)
    ), blocking AS MATERIALIZED (
        SELECT DISTINCT unnest(blocked_by) AS pid FROM waiting
    )
    SELECT pid, application_name, usename, state, wait_event_type, wait_event, blocked_by,
           extract(epoch FROM clock_timestamp() - CASE state
               WHEN 'active' THEN coalesce(waitstart, query_start) ELSE state_change END)::float8 AS age,
           CASE WHEN backend_type IS NOT NULL THEN coalesce(left(query, :query_length), '') END AS query
      FROM processes LEFT JOIN waiting USING (pid) LEFT JOIN locks USING (pid)
     WHERE is_client OR pid IN (SELECT pid FROM blocking)
     ORDER BY CASE WHEN blocked_by IS NOT NULL THEN 1
                   WHEN pid IN (SELECT pid FROM blocking) THEN 0
                   WHEN state = 'active' THEN 2
                   WHEN state LIKE 'idle in transaction%' THEN 3
                   ELSE 4 END, age DESC NULLS LAST, pid
     LIMIT :most + 1
""")  # noqa: S608 - a constant

_COUNTERS = text("SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()")


async def look(database: Database) -> Activity:
    """Return the server's activity, over a connection of this database. Raises as `Database.session` does."""
    # Within one transaction, the server answers every query from one snapshot of its backends.
    async with database.session() as session:
        stats = await server_stats(session)
        rows = (
            await session.execute(_BACKENDS, {"most": MOST_BACKENDS, "query_length": _QUERY_LENGTH})
        ).all()
        counters = (await session.execute(_COUNTERS)).one()
        at = monotonic()
        # Nothing depends on this commit, but without it the server would count a rollback.
        await session.connection.commit()
    return Activity(
        stats,
        tuple(_backend(row) for row in rows[:MOST_BACKENDS]),
        truncated=len(rows) > MOST_BACKENDS,
        commits=counters.xact_commit,
        rollbacks=counters.xact_rollback,
        at=at,
    )


def _backend(row: Row[Any]) -> Backend:
    return Backend(
        row.pid,
        row.application_name or "",
        row.usename or "",
        row.state or "",
        f"{row.wait_event_type}:{row.wait_event}" if row.wait_event_type else "",
        row.age if row.age is None else max(0.0, row.age),
        row.query,
        # A backend is repeated for each of its parallel workers that waits or blocks.
        tuple(dict.fromkeys(row.blocked_by or ())),
    )


class ActivityWatch:
    """Reads the server's activity over a connection of its own, so that a full pool cannot block it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self) -> Activity:
        """Return the server's activity. Raises Unavailable and Misconfigured; the next call reconnects."""
        return await look(self._database)


@asynccontextmanager
async def open_watch(server: Server, limits: Limits) -> AsyncIterator[ActivityWatch]:
    """Open a watch that connects on its first look, limits each statement to 1 s, and is closed on exit."""
    alone = replace(
        limits, pool_size=1, acquire_timeout=2, lock_timeout=1, statement_timeout=1, command_timeout=2
    )
    async with open_database(server, alone, application="couponctl/watch") as database:
        yield ActivityWatch(database)


def blocking_chains(backends: Iterable[Backend]) -> tuple[Blocking, ...]:
    """Return who blocks whom: every waiting backend once, below one that it waits for.

    A backend that waits for several is listed below the one nearest to a root. Roots block without waiting;
    they may be prepared transactions, or have disconnected since. The last roots are backends whose lock has
    no known holder, and one backend of each cycle of waits that the server has not broken yet.
    """
    known = {backend.pid: backend for backend in backends}
    below = _placed({pid: backend for pid, backend in known.items() if backend.waits_for_lock})
    above: dict[int | None, list[int]] = defaultdict(list)
    for pid, blocker in below.items():
        above[blocker].append(pid)
    rows = []
    # Without recursion: a chain may be longer than Python's stack.
    unread = [(pid, 0) for pid in reversed(above[None])]
    while unread:
        pid, depth = unread.pop()
        rows.append(Blocking(pid, known.get(pid), depth, below[pid]))
        unread += [(waiter, depth + 1) for waiter in reversed(above[pid])]
    return tuple(rows)


def _placed(waiting: Mapping[int, Backend]) -> dict[int, int | None]:
    """Map each backend that waits or is waited for to the one that it is listed below; None for a root."""
    waiters: dict[int, list[int]] = defaultdict(list)
    for backend in waiting.values():
        for blocker in backend.blocked_by:
            waiters[blocker].append(backend.pid)
    below: dict[int, int | None] = {}

    def place(*roots: int) -> None:
        below.update(dict.fromkeys(roots))
        reached = deque(roots)
        while reached:
            blocker = reached.popleft()
            for pid in waiters[blocker]:
                if pid not in below:
                    below[pid] = blocker
                    reached.append(pid)

    place(*(pid for pid in tuple(waiters) if pid not in waiting))
    place(*(pid for pid, backend in waiting.items() if not backend.blocked_by))
    for pid in waiting:
        if pid not in below:
            place(_on_circle(pid, waiting))
    return below


def _on_circle(pid: int, waiting: Mapping[int, Backend]) -> int:
    """Return a member of the cycle of waits that this backend is in or leads to."""
    passed: set[int] = set()
    while pid not in passed:
        passed.add(pid)
        pid = waiting[pid].blocked_by[0]
    return pid
