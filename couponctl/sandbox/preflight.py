"""What a drill requires before it creates anything: writes, privileges, head-room, and no subscribers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from couponctl.errors import Guarded, MayNotDrill, NoHeadRoom, ReadOnlyServer
from couponctl.postgres.database import open_database
from couponctl.postgres.headroom import server_facts

if TYPE_CHECKING:
    from couponctl.postgres.database import Database
    from couponctl.postgres.headroom import ServerFacts
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

ADMIN = 1
"""Connections of the admin, which creates and drops the schema."""
OBSERVER = 3
"""Maximum number of connections of the observer, which causes faults and reads the ledger."""

AGAIN = "--unlogged"
"""The option that keeps a command's tables out of publications."""

_SETTLING = 1.0
"""Seconds that backends of an earlier drill have to end before they count as in use."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """A server as a drill finds it; reading it changes nothing."""

    where: str
    facts: ServerFacts

    @property
    def free(self) -> int:
        """Connections that a drill can have, including the one that read this, which is its admin's."""
        return self.facts.narrowest.free + ADMIN

    def as_json(self) -> dict[str, Any]:
        """Return what a report says about the server."""
        return {
            "where": self.where,
            "version": self.facts.version,
            "max_connections": self.facts.max_connections,
        }

    def admit(self, needed: int, *, unlogged: bool = False, again: str = AGAIN) -> None:
        """Raise ReadOnlyServer, MayNotDrill, Guarded, or NoHeadRoom if `needed` connections are not free.

        Guarded if the tables would be replicated, which `unlogged` tables are not; `again` is the command
        that makes them unlogged.
        """
        found, narrowest = self.facts, self.facts.narrowest
        if found.read_only:
            raise ReadOnlyServer
        if not found.may_create:
            raise MayNotDrill(found.role, found.grant)
        if found.publications and not unlogged:
            raise Guarded(
                f"publication {found.publications[0]} is FOR ALL TABLES, and the first claim of a drill "
                "would stop its subscribers for good, since they do not have its tables",
                f"{again} keeps them out of it, and then nothing is proven about a crash of the server",
            )
        if self.free < needed:
            raise NoHeadRoom(needed, self.free, narrowest.limit, narrowest.limited_by)


async def admitted(admin: Database, needed: int, *, unlogged: bool = False, again: str = AGAIN) -> Preflight:
    """Return the preflight once a drill of `needed` connections fits; wait up to a second for head-room.

    Raises ReadOnlyServer, MayNotDrill, Guarded, NoHeadRoom, and the errors of connecting.
    """
    deadline = monotonic() + _SETTLING
    while True:
        preflight = await _look(admin)
        try:
            preflight.admit(needed, unlogged=unlogged, again=again)
        except NoHeadRoom:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return preflight


async def inspect(server: Server, limits: Limits, needed: int, *, unlogged: bool = False) -> Preflight:
    """Do the same over a connection of its own, to check without a drill. Raises the same."""
    alone = replace(limits, pool_size=ADMIN)
    async with open_database(server, alone, application="couponctl/preflight") as database:
        return await admitted(database, needed, unlogged=unlogged)


async def _look(database: Database) -> Preflight:
    async with database.session("AUTOCOMMIT") as session:
        found = await server_facts(session)
    return Preflight(database.server.where, found)
