"""The server's backends in a few numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.models import ServerStats
from couponctl.postgres.row_security import hidden_by, sight

if TYPE_CHECKING:
    from couponctl.postgres.database import Session

CLIENT_BACKEND = """
    (backend_type = 'client backend'
     OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL))
"""
"""Whether a row of pg_stat_activity is a client's. A role without pg_read_all_stats does not see the type of
other roles' backends; the system's own have no user or no database."""

_SERVER_STATS = text(f"""
    SELECT current_setting('server_version') AS version,
           current_setting('max_connections')::int AS max_connections,
           count(*) AS backends,
           count(*) FILTER (WHERE state = 'active') AS active,
           count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
           count(*) FILTER (WHERE wait_event_type = 'Lock') AS lock_waits,
           count(*) FILTER (WHERE application_name LIKE 'couponctl/%') AS own_backends,
           {sight(coupons="to_regclass('coupons')", claims="to_regclass('claims')")}
    FROM pg_stat_activity
    WHERE datname = current_database() AND {CLIENT_BACKEND}
""")  # noqa: S608 - a constant


async def server_stats(session: Session) -> ServerStats:
    row = (await session.execute(_SERVER_STATS)).one()
    counted = {
        field.name: getattr(row, field.name) for field in fields(ServerStats) if field.name != "hidden"
    }
    return ServerStats(**counted, hidden=hidden_by(row))
