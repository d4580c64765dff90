"""A server that sends without end is hung up on before it has taken the memory.

The driver gathers an answer until it is complete, however long that is; so a `Wire` stands between the
driver and the network, and counts what comes since the driver has sent something.
"""

from __future__ import annotations

import asyncio
from struct import Struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

GREETING = 1 << 20
"""What may come between two steps of a login; a thousandth of it does."""
ANSWER = 32 << 20
"""What may come as an answer: the longest page, of 10,000 names, is 12 MB."""
_EACH = 128
"""Bytes that a message counts beside its own: the driver makes an object of the smallest row."""

_length_at = Struct("!I").unpack_from


FLOODED = "the server there sends more than any answer holds, so the connection was closed"


class Flood(ConnectionError):
    """More than may come, or what is no message at all."""


class Wire(asyncio.Protocol):
    """The protocol of the network's transport, and the transport of the driver's protocol."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.transport: Any = None
        self._flood: Flood | None = None
        self._most = self._left = GREETING
        self._begun = b""
        """Of a header what has come, as long as it is not complete."""
        self._to_come = 0
        """Bytes of a message that its header has announced."""

    def allow(self, most: int) -> None:
        """From the next sending on, so much may come behind each."""
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
        """Count the data, and the messages that begin in it; of a message its own header tells the length."""
        left = self._left - len(data)
        if self._begun:
            data = self._begun + data
        at, headers_end = self._to_come, len(data) - 4
        while at < headers_end and left >= 0:
            (length,) = _length_at(data, at + 1)
            at += 1 + length
            left -= _EACH if length >= 4 else self._most  # no message is shorter than its length
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
        """The driver goes on with another protocol, as it does once the wire is encrypted."""
        self.driver = driver
        self._left = self._most
        self._begun = b""
        self._to_come = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class WatchfulLoop:
    """The event loop as a driver may use it: each connection that it makes is a `Wire`."""

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
