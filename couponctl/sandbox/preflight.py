"""What a server must offer before a drill creates anything: writes, rights, head-room, and no subscribers."""

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
"""Connections of the admin, who makes and drops the schema."""
OBSERVER = 3
"""Connections of the observer, who brings faults about and reads the ledger, at most."""

AGAIN = "--unlogged"
"""How a command is told to keep its tables out of publications."""

_SETTLING = 1.0
"""Seconds that backends of an earlier drill get to leave before they count as in use."""


@dataclass(frozen=True, slots=True)
class Premises:
    """A server as a drill finds it; nothing is changed by looking."""

    where: str
    facts: ServerFacts

    @property
    def free(self) -> int:
        """Connections that a drill could have; the one that looked is its admin's, and so among them."""
        return self.facts.narrowest.free + ADMIN

    def as_json(self) -> dict[str, Any]:
        """What a report says of the server."""
        return {
            "where": self.where,
            "version": self.facts.version,
            "max_connections": self.facts.max_connections,
        }

    def admit(self, needed: int, *, unlogged: bool = False, again: str = AGAIN) -> None:
        """Raises ReadOnlyServer, MayNotDrill, Guarded, or NoHeadRoom for so many connections.

        Guarded where the tables would be replicated, which `unlogged` ones are not; `again` is the command
        that makes them so.
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


async def admitted(admin: Database, needed: int, *, unlogged: bool = False, again: str = AGAIN) -> Premises:
    """The server, once it has a place for a drill of so many connections.

    Raises ReadOnlyServer, MayNotDrill, Guarded, NoHeadRoom, and what connecting raises.
    """
    deadline = monotonic() + _SETTLING
    while True:
        premises = await _look(admin)
        try:
            premises.admit(needed, unlogged=unlogged, again=again)
        except NoHeadRoom:
            if monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return premises


async def inspect(server: Server, limits: Limits, needed: int, *, unlogged: bool = False) -> Premises:
    """The same over a connection of its own, for who only wants to know. Raises the same."""
    alone = replace(limits, pool_size=ADMIN)
    async with open_database(server, alone, application="couponctl/preflight") as database:
        return await admitted(database, needed, unlogged=unlogged)


async def _look(database: Database) -> Premises:
    async with database.session("AUTOCOMMIT") as session:
        found = await server_facts(session)
    return Premises(database.server.where, found)
