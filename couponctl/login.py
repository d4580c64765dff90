"""Logging in: a connection to the first host that takes one, with the server's own limits set."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg

from couponctl.flood import ANSWER, WatchfulLoop, Wire

if TYPE_CHECKING:
    from couponctl.libpq import Server
    from couponctl.settings import Limits

_ABANDONED_CHECK = "2s"
"""How often the server looks whether a client that it works for is still there."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """What a login ends in: from here on answers may be long."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Wire, loop: WatchfulLoop, *rest: Any) -> None:
        transport.allow(ANSWER)
        try:
            # The running loop itself: the driver asks asyncio which of its tasks is the current one.
            super().__init__(protocol, transport, loop.loop, *rest)
        except ValueError:
            protocol.abort()  # left open, what was half made would complain about it in the end
            raise


async def connected(server: Server, limits: Limits, application: str) -> asyncpg.Connection:
    """A connection to the first host that takes one; each host has `connect_timeout` of its own.

    The driver's timeout would cover all hosts together, and one that swallows packets would eat it.
    """
    tried: Exception | None = None
    for host in server.hosts:
        try:
            return await asyncpg.connect(
                server.dsn,
                loop=WatchfulLoop(asyncio.get_running_loop()),
                connection_class=_Connection,
                host=host.host,
                port=host.port,
                timeout=limits.connect_timeout,
                command_timeout=limits.command_timeout,
                target_session_attrs="read-write" if len(server.hosts) > 1 else None,
                server_settings=_session_settings(limits, application),
            )
        except (
            OSError,
            asyncpg.CannotConnectNowError,
            asyncpg.ConnectionDoesNotExistError,
            asyncpg.TooManyConnectionsError,
            asyncpg.TargetServerAttributeNotMatched,
        ) as exc:
            tried = exc
    assert tried is not None
    raise tried


def _session_settings(limits: Limits, application: str) -> dict[str, str]:
    """The server's own limits: they end before the client's, so the connection survives them."""
    return {
        "application_name": application,
        "default_transaction_isolation": "read committed",
        "lock_timeout": f"{limits.lock_timeout * 1000:.0f}",
        "statement_timeout": f"{limits.statement_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{limits.command_timeout * 1000:.0f}",
        "client_connection_check_interval": _ABANDONED_CHECK,
    }
