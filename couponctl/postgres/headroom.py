"""What a role may still do on a server, in one query: connections under all limits that apply, and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.postgres.server_stats import CLIENT_BACKEND

if TYPE_CHECKING:
    from couponctl.postgres.database import Session


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """Connections under one limit."""

    limited_by: str
    """The setting that the operator would raise."""
    limit: int
    """What it allows, less the connections reserved for administrators."""
    taken: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.taken)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server and a database, as one role sees them."""

    version: str
    max_connections: int
    role: str
    grant: str
    """The statement that would let the role create a schema."""
    may_create: bool
    read_only: bool
    """A standby, or set read-only."""
    connection_limits: tuple[ConnectionLimit, ...]
    """Every limit that applies to the role; `taken` includes the connection that asks."""
    publications: tuple[str, ...] = ()
    """Those that send changes of new tables to subscribers that lack the tables."""
    event_triggers: tuple[str, ...] = ()
    """Enabled ones, which may refuse what is created or dropped."""

    @property
    def narrowest(self) -> ConnectionLimit:
        """The limit that will be reached first."""
        return min(self.connection_limits, key=lambda limit: limit.free)


# Reserved connections are not counted as free even for roles that may use them: an administrator must be
# able to get in and stop a drill. A superuser is exempt from the limits of roles and databases. A publication
# sends nothing unless wal_level is logical or a logical slot exists.
_FACTS = text(f"""
    WITH backends AS (SELECT datid, usesysid FROM pg_stat_activity WHERE {CLIENT_BACKEND})
    SELECT current_setting('server_version') AS version,
           current_user AS role,
           format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user) AS grant,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only,
           current_setting('max_connections')::int AS max_connections,
           current_setting('superuser_reserved_connections')::int
               + coalesce(current_setting('reserved_connections', true)::int, 0) AS kept_back,
           (SELECT count(*) FROM backends) AS taken,
           CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END AS role_limit,
           (SELECT count(*) FROM backends WHERE usesysid = login.oid) AS taken_by_role,
           CASE WHEN rolsuper THEN -1 ELSE datconnlimit END AS database_limit,
           (SELECT count(*) FROM backends WHERE datid = here.oid) AS taken_in_database,
           ARRAY(SELECT pubname::text FROM pg_publication
                  WHERE puballtables AND (pubinsert OR pubupdate OR pubdelete OR pubtruncate)
                    AND (current_setting('wal_level') = 'logical'
                         OR EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical'))
                  ORDER BY pubname) AS publications,
           ARRAY(SELECT evtname::text FROM pg_event_trigger
                  WHERE evtenabled IN ('O', 'A') AND evtevent <> 'login' ORDER BY evtname) AS event_triggers
      FROM pg_roles AS login, pg_database AS here
     WHERE login.rolname = session_user AND here.datname = current_database()
""")  # noqa: S608 - a constant


async def server_facts(session: Session) -> ServerFacts:
    """Read the facts, in one statement."""
    facts = (await session.execute(_FACTS)).one()
    connection_limits = [
        ConnectionLimit("max_connections", facts.max_connections - facts.kept_back, facts.taken)
    ]
    if facts.role_limit >= 0:
        connection_limits.append(
            ConnectionLimit("the role's CONNECTION LIMIT", facts.role_limit, facts.taken_by_role)
        )
    if facts.database_limit >= 0:
        connection_limits.append(
            ConnectionLimit("the database's CONNECTION LIMIT", facts.database_limit, facts.taken_in_database)
        )
    return ServerFacts(
        version=facts.version,
        max_connections=facts.max_connections,
        role=facts.role,
        grant=facts.grant,
        may_create=facts.may_create,
        read_only=facts.read_only,
        connection_limits=tuple(connection_limits),
        publications=tuple(facts.publications),
        event_triggers=tuple(facts.event_triggers),
    )
