"""The server's settings that matter to a sale or a drill, for a bug report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from couponctl.postgres.database import Session


@dataclass(frozen=True, slots=True)
class ServerSetting:
    """A setting as a session of couponctl sees it."""

    name: str
    value: str
    """With its unit."""
    source: str
    """Where it was set, in PostgreSQL's words; `client` is couponctl itself."""


_SETTINGS = text("""
    SELECT name, current_setting(name) AS value, source FROM pg_settings
     WHERE name IN ('server_version', 'server_encoding', 'max_connections', 'superuser_reserved_connections',
                    'fsync', 'full_page_writes', 'synchronous_commit', 'wal_level', 'in_hot_standby',
                    'transaction_read_only', 'default_transaction_isolation', 'deadlock_timeout',
                    'lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout',
                    'client_connection_check_interval', 'row_security', 'TimeZone')
     ORDER BY name <> 'server_version', name
""")


async def server_settings(session: Session) -> tuple[ServerSetting, ...]:
    """Read the settings. Raises as `Session.execute` does."""
    rows = (await session.execute(_SETTINGS)).all()
    return tuple(ServerSetting(row.name, row.value, row.source) for row in rows)
