"""Servers that answer a login or a question with something endless, or with nonsense."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    Script = Callable[[socket.socket], None]

_SSL_REQUEST = 80877103
_ENDLESS = 600 << 20
"""Bytes after which the endless ends, so that a client that takes it all can be told to have done so."""


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _parameter(name: str, value: str) -> bytes:
    return message(b"S", f"{name}\0{value}\0".encode())


_WELCOME = message(b"R", struct.pack("!i", 0))
_READY = message(b"K", struct.pack("!ii", 1, 1)) + message(b"Z", b"I")


def _greeting(version: str = "18.6") -> bytes:
    settings = {"server_version": version, "client_encoding": "UTF8", "standard_conforming_strings": "on"}
    return _WELCOME + b"".join(_parameter(*each) for each in settings.items()) + _READY


def _send_without_end(client: socket.socket, chunk: bytes) -> None:
    for _ in range(_ENDLESS // len(chunk)):
        client.sendall(chunk)


def endless_parameters(client: socket.socket) -> None:
    client.sendall(_WELCOME)
    for first in range(0, 40_000_000, 1000):
        client.sendall(b"".join(_parameter(f"p{first + n}", "v") for n in range(1000)))


def another_protocol(client: socket.socket) -> None:
    _send_without_end(client, b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2000)


def unreadable_version(client: socket.socket) -> None:
    client.sendall(_greeting("banana"))
    client.recv(65536)


def endless_notices(client: socket.socket) -> None:
    client.sendall(_greeting())
    _send_without_end(client, message(b"N", b"SWARNING\0Mmind\0\0") * 3000)


def _asked(client: socket.socket) -> None:
    """Log the client in, and let it ask something that has one column of text."""
    client.sendall(_greeting())
    while client.recv(65536).startswith(b"Q"):
        client.sendall(message(b"C", b"BEGIN\0") + message(b"Z", b"T"))
    column = b"version\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
    parsed = message(b"1", b"") + message(b"t", struct.pack("!h", 0))
    client.sendall(parsed + message(b"T", struct.pack("!h", 1) + column))
    client.recv(65536)
    client.sendall(message(b"2", b""))


def endless_rows(client: socket.socket) -> None:
    _asked(client)
    _send_without_end(client, message(b"D", struct.pack("!hi", 1, 1) + b"v") * 5000)


def huge_message(client: socket.socket) -> None:
    _asked(client)
    client.sendall(b"D" + struct.pack("!ihi", 0x7FFFFFF0, 1, 0x7FFFFF00))
    _send_without_end(client, bytes(65536))


def short_message(client: socket.socket) -> None:
    _asked(client)
    client.sendall(b"D" + struct.pack("!i", 3))
    client.recv(65536)


def _exactly(client: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        if not (more := client.recv(size - len(received))):
            raise ConnectionError
        received += more
    return received


def _serve(client: socket.socket, script: Script, encrypt: ssl.SSLContext | None, direct: bool) -> None:
    with suppress(OSError), ExitStack() as closing:
        closing.enter_context(client)
        if encrypt is not None and direct:
            client = closing.enter_context(encrypt.wrap_socket(client, server_side=True))
        while True:
            (length,) = struct.unpack("!i", _exactly(client, 4))
            (code,) = struct.unpack("!i", _exactly(client, length - 4)[:4])
            if code != _SSL_REQUEST:
                break
            client.sendall(b"N" if encrypt is None else b"S")
            if encrypt is not None:
                client = closing.enter_context(encrypt.wrap_socket(client, server_side=True))
        script(client)


@contextmanager
def hostile_server(
    script: Script, *, encrypt: ssl.SSLContext | None = None, direct: bool = False
) -> Iterator[int]:
    """A server on the loopback that plays the script to everyone who logs in; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(
                        target=_serve, args=(client, script, encrypt, direct), daemon=True
                    ).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        accepting.join()
