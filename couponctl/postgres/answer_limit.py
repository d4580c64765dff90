"""Closes the connection to a server that sends without end, before memory runs out.

The driver buffers an answer until it is complete, however long it is; so a `Wire` between the driver and
the network counts the bytes received since the driver last sent something.
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

GREETING = 1 << 20
"""Maximum bytes received between two steps of a login; usual is a thousandth."""
ANSWER = 32 << 20
"""Maximum bytes of an answer: the longest page, of 10,000 names, is 12 MB."""
_EACH = 128
"""Bytes counted per message besides its own: the driver creates an object even for the smallest row."""

_length_at = Struct("!I").unpack_from


FLOODED = "the server there sends more than any answer holds, so the connection was closed"


class Flood(ConnectionError):
    """More bytes than allowed, or something that is not a message."""


class Wire(asyncio.Protocol):
    """The protocol of the network transport, and the transport of the driver's protocol."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.transport: Any = None
        self._flood: Flood | None = None
        self._most = self._left = GREETING
        self._begun = b""
        """The received part of an incomplete header."""
        self._to_come = 0
        """Bytes still to come of a message whose header has been read."""

    def allow(self, most: int) -> None:
        """Set the maximum bytes after each send, from the next one on."""
        self._most = most

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.driver.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self._flood is None and self._has_room_for(data):
            self.driver.data_received(data)
        elif self._flood is None:
            self._flood = Flood()
            self.transport.abort()

    def _has_room_for(self, data: bytes) -> bool:
        """Count the data and the messages that begin in it, by their headers; whether the limit holds."""
        left = self._left - len(data)
        if self._begun:
            data = self._begun + data
        at, headers_end = self._to_come, len(data) - 4
        while at < headers_end and left >= 0:
            (length,) = _length_at(data, at + 1)
            at += 1 + length
            left -= _EACH if length >= 4 else self._most  # a message is never shorter than its length field
        self._begun = data[at:]
        self._to_come = max(at - len(data), 0)
        self._left = left
        return left >= self._to_come

    def connection_lost(self, exc: Exception | None) -> None:
        self.driver.connection_lost(self._flood or exc)

    def pause_writing(self) -> None:
        self.driver.pause_writing()

    def resume_writing(self) -> None:
        self.driver.resume_writing()

    def write(self, data: bytes) -> None:
        self._left = self._most
        self.transport.write(data)

    def writelines(self, data: list[bytes]) -> None:
        self._left = self._most
        self.transport.writelines(data)

    def set_protocol(self, driver: Any) -> None:
        """Switch the driver to another protocol, as it does once the connection is encrypted."""
        self.driver = driver
        self._left = self._most
        self._begun = b""
        self._to_come = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class WatchfulLoop:
    """The event loop for the driver: each connection that it opens is a `Wire`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    async def create_connection(
        self, protocol: Callable[[], Any], *where: Any, **how: Any
    ) -> tuple[Wire, Any]:
        _, wire = await self.loop.create_connection(lambda: Wire(protocol()), *where, **how)
        return wire, wire.driver

    async def create_unix_connection(
        self, protocol: Callable[[], Any], *where: Any, **how: Any
    ) -> tuple[Wire, Any]:
        _, wire = await self.loop.create_unix_connection(lambda: Wire(protocol()), *where, **how)
        return wire, wire.driver

    async def start_tls(self, wire: Wire, _driver: Any, context: SSLContext, **how: Any) -> Wire | None:
        wire.transport = await self.loop.start_tls(wire.transport, wire, context, **how)
        return wire if wire.transport is not None else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loop, name)
