"""A proxy in front of the server, which loses a message, or the answer to it, at the worst moment.

Terminating a backend does not reliably hit the instant between a commit and its answer; a proxy does.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from couponctl.errors import Unreachable
from couponctl.postgres.libpq import Host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.postgres.libpq import Server

_CHUNK = 65536


class Lost(Enum):
    """What happens to the message with the marker."""

    REQUEST = "request lost"
    """The message never reaches the server, and the connection breaks."""
    ANSWER = "answer lost"
    """The server acts on the message, and the connection breaks before the answer."""
    HANG = "timeout"
    """The server acts on the message, and the answer never comes."""


@dataclass
class WireProxy:
    """Forwards everything until a message from the client contains the marker set by `lose`."""

    server: Server
    """The server, addressed through the proxy."""
    upstream: Host
    losses: int = 0
    _marker: bytes | None = None
    _lost: Lost = Lost.ANSWER
    _left: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def lose(self, lost: Lost, marker: bytes, times: int = 1) -> None:
        """Lose the next `times` messages that contain the marker."""
        self._lost, self._marker, self._left = lost, marker, times

    async def cut(self) -> None:
        """Break every connection and accept no new one."""
        self.upstream = Host("/nonexistent", 1)
        for writer in tuple(self._open):
            writer.transport.abort()

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Serve one connection until it closes."""
        try:
            server, to_server = await _connected(self.upstream)
        except OSError:
            to_client.transport.abort()
            return
        self._open |= {to_client, to_server}
        answers = asyncio.create_task(_pump(server, to_client))
        try:
            with suppress(ConnectionError):
                while data := await client.read(_CHUNK):
                    if self._marker is not None and self._marker in data:
                        answers.cancel()
                        await self._lose(data, client, to_server)
                        break
                    to_server.write(data)
                    await to_server.drain()
        finally:
            answers.cancel()
            self._open -= {to_client, to_server}
            to_client.transport.abort()
            to_server.close()

    async def _lose(self, data: bytes, client: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        lost = self._lost
        self.losses += 1
        self._left -= 1
        if self._left == 0:
            self._marker = None
        if lost is Lost.REQUEST:
            return
        to_server.write(data)
        await to_server.drain()
        if lost is Lost.HANG:
            while await client.read(_CHUNK):
                pass  # until the client gives up


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _connected(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host.host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host.host}/.s.PGSQL.{host.port}")
    return await asyncio.open_connection(host.host, host.port)


@asynccontextmanager
async def wire_proxy(server: Server) -> AsyncIterator[WireProxy]:
    """Open a proxy to the first host that answers, on a private socket, without TLS: it could not read it.

    Raises Unreachable if no host answers.
    """
    upstream = await _first_that_answers(server)
    with tempfile.TemporaryDirectory(prefix="couponctl-") as directory:
        proxy = WireProxy(_in_plain_text(server, directory, upstream), upstream)
        path = Path(directory) / f".s.PGSQL.{upstream.port}"
        async with await asyncio.start_unix_server(proxy.serve, path):
            yield proxy


async def _first_that_answers(server: Server) -> Host:
    for host in server.hosts:
        with suppress(OSError):
            _, writer = await _connected(host)
            writer.close()
            return host
    raise Unreachable(f"no host answers ({server.where})")


def _in_plain_text(server: Server, directory: str, upstream: Host) -> Server:
    parts = urlsplit(server.dsn)
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("ssl")]
    dsn = parts._replace(query="&".join([*kept, "sslmode=disable"])).geturl()
    return replace(server, dsn=dsn, hosts=(Host(directory, upstream.port, upstream.host),))
