"""What every stage after the login needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.ledger.schema import missing_columns
from couponctl.ledger.setup import places

if TYPE_CHECKING:
    from sqlalchemy import Row

    from couponctl.ledger.setup import Places
    from couponctl.postgres.database import Database, Session

_FACTS = text("""
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int / 10000 AS major,
           current_user AS role,
           pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           current_setting('fsync')::bool AND current_setting('full_page_writes')::bool
               AND current_setting('synchronous_commit') <> 'off' AS durable,
           coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create_tables,
           quote_ident(coalesce(current_schema(), 'public')) AS quoted_schema,
           quote_ident(current_user) AS quoted_role,
           quote_ident(current_database()) AS quoted_database,
           (SELECT version || ', ' || cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS encryption
""")


@dataclass(frozen=True, slots=True)
class Examination:
    """What one role finds in one database."""

    facts: Row[Any]
    places: Places
    lacking: tuple[str, ...]
    """Columns that the tables lack, as `table.column`."""
    pool_size: int
    read_only: bool
    """The operator has marked the context read-only."""

    @property
    def has_tables(self) -> bool:
        return self.places.complete and not self.lacking


async def begun(session: Session, database: Database, *, read_only: bool) -> Examination:
    """Read what the stages need. Raises as `Session.execute` does."""
    return Examination(
        (await session.execute(_FACTS)).one(),
        await places(session),
        await missing_columns(session),
        database.limits.pool_size,
        read_only,
    )
