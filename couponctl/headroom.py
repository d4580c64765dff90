"""The connections that a role can still have: by the server, by the role's own limit and the database's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.questions import CLIENT_BACKEND

if TYPE_CHECKING:
    from couponctl.database import Session


@dataclass(frozen=True, slots=True)
class Room:
    """Connections under one limit."""

    limited_by: str
    """The setting, as the operator would raise it."""
    limit: int
    """What it allows, less what is kept back for administrators."""
    taken: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.taken)


# What is kept back stays so even for roles that may use it: whoever must stop a drill has to get in.
# A superuser is exempt from the limits of roles and databases.
_ROOMS = text(f"""
    WITH backends AS (SELECT datid, usesysid FROM pg_stat_activity WHERE {CLIENT_BACKEND})
    SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               - coalesce(current_setting('reserved_connections', true)::int, 0) AS server_limit,
           (SELECT count(*) FROM backends) AS taken,
           CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END AS role_limit,
           (SELECT count(*) FROM backends WHERE usesysid = login.oid) AS taken_by_role,
           CASE WHEN rolsuper THEN -1 ELSE datconnlimit END AS database_limit,
           (SELECT count(*) FROM backends WHERE datid = here.oid) AS taken_in_database
      FROM pg_roles AS login, pg_database AS here
     WHERE login.rolname = session_user AND here.datname = current_database()
""")  # noqa: S608 - a constant


async def rooms(session: Session) -> tuple[Room, ...]:
    """Every limit that counts for the role of this session, which itself is among those taken."""
    facts = (await session.execute(_ROOMS)).one()
    found = [Room("max_connections", facts.server_limit, facts.taken)]
    if facts.role_limit >= 0:
        found.append(Room("the role's CONNECTION LIMIT", facts.role_limit, facts.taken_by_role))
    if facts.database_limit >= 0:
        found.append(Room("the database's CONNECTION LIMIT", facts.database_limit, facts.taken_in_database))
    return tuple(found)
