"""Whether a server ran without interruption, or crashed or restarted in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from datetime import datetime

    from couponctl.postgres.database import Database

# After a crash the postmaster is the same, but all its processes are new. The pids of those that serve no
# database, such as the checkpointer, are visible to every role, and through every pooler.
_UPTIME = text("""
    SELECT clock_timestamp() AS at, pg_postmaster_start_time() AS started,
           ARRAY(SELECT pid FROM pg_stat_activity WHERE datid IS NULL) AS processes
""")


@dataclass(frozen=True, slots=True)
class Uptime:
    """The state of a running server at one moment."""

    at: datetime
    """By its own clock."""
    started: datetime
    processes: frozenset[int]
    """The pids of its own processes; empty if the server does not show them."""

    def goes_on_in(self, later: Uptime) -> bool:
        """Whether the server neither crashed nor was restarted or replaced before the later moment."""
        kept = not self.processes or bool(self.processes & later.processes)
        return kept and self.started == later.started


async def uptime(database: Database) -> Uptime:
    """Read the state of the server now. Raises Unavailable."""
    async with database.session("AUTOCOMMIT") as session:
        row = (await session.execute(_UPTIME)).one()
    return Uptime(row.at, row.started, frozenset(row.processes))
