"""A proxy on the wire that loses one message, or the answer to it, and the connection with it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from couponctl.libpq import Host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from couponctl.libpq import Server


class Lost(Enum):
    REQUEST = "the message never reaches the server"
    ANSWER = "the server acts on the message, but its answer never arrives"


@dataclass
class WireProxy:
    """Passes everything on, until a message from the client holds `marker`."""

    server: Server
    """The way through the proxy."""
    upstream: Host
    marker: bytes | None = None
    lost: Lost = Lost.ANSWER
    losses: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def lose(self, lost: Lost, marker: bytes, times: int = 1) -> None:
        self.lost, self.marker, self._left = lost, marker, times

    async def cut(self) -> None:
        """Lose every connection, and take no new one."""
        self.upstream = Host("/nonexistent", 1)
        for writer in tuple(self._open):
            writer.transport.abort()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await _connected(self.upstream)
        except OSError:
            to_client.transport.abort()
            return
        self._open |= {to_client, to_server}
        answers = asyncio.create_task(_pump(server, to_client))
        try:
            while data := await client.read(65536):
                if self.marker is not None and self.marker in data:
                    await self._lose(data, to_server, answers)
                    break
                to_server.write(data)
                await to_server.drain()
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            self._open -= {to_client, to_server}
            to_client.transport.abort()
            to_server.close()

    async def _lose(self, data: bytes, to_server: asyncio.StreamWriter, answers: asyncio.Task[None]) -> None:
        self.losses += 1
        self._left -= 1
        if self._left == 0:
            self.marker = None
        answers.cancel()
        if self.lost is Lost.ANSWER:
            to_server.write(data)
            await to_server.drain()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _connected(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host.host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host.host}/.s.PGSQL.{host.port}")
    return await asyncio.open_connection(host.host, host.port)


@asynccontextmanager
async def wire_proxy(server: Server, directory: Path) -> AsyncIterator[WireProxy]:
    """A proxy in front of the server, on a socket in `directory`."""
    through = replace(server, hosts=(Host(str(directory), 5432),))
    proxy = WireProxy(through, server.hosts[0])
    listener = await asyncio.start_unix_server(proxy.serve, directory / ".s.PGSQL.5432")
    async with listener:
        yield proxy
