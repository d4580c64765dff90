"""Servers that only greet: they offer TLS or none, with a certificate of the test's, and end the login."""

from __future__ import annotations

import socketserver
import ssl
import struct
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """An authority, and what it has signed for `localhost`; another that has signed nothing."""

    authority: Path
    certificate: Path
    key: Path
    stranger: Path


def make_certificates(directory: Path) -> Certificates:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("authority", "stranger"):
        subject = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
        openssl("req", "-x509", "-days", "2", *key, *subject)
    openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-extfile", "names", "-out", "server.crt")
    found = (directory / name for name in ("authority.crt", "server.crt", "server.key", "stranger.crt"))
    return Certificates(*found)


@contextmanager
def greeting(
    answer: bytes, certificates: Certificates | None = None, *, over_tls: bytes = b"", wants: bool = False
) -> Iterator[int]:
    """The port of a server that ends every login with this answer, or another `over_tls`.

    With certificates it offers TLS; `wants` lets in nobody without a certificate of the authority's.
    """
    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        if wants:
            context.load_verify_locations(certificates.authority)
            context.verify_mode = ssl.CERT_REQUIRED
            # With 1.3 the alert and the end of the connection race each other to the client.
            context.maximum_version = ssl.TLSVersion.TLSv1_2

    class Login(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self._answered(self.request)

        def _answered(self, connection: socket.socket) -> None:
            encrypted = False
            if _packet(connection) == _SSL_REQUEST:
                connection.sendall(b"N" if context is None else b"S")
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                    encrypted = True
                _packet(connection)
            with connection:
                connection.sendall((encrypted and over_tls) or answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Login) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


_SSL_REQUEST = struct.pack("!i", 80877103)


def _packet(connection: socket.socket) -> bytes:
    """What stands behind a length of four bytes, which counts itself."""
    stream = connection.makefile("rb", buffering=0)
    head = stream.read(4) or b""
    return stream.read(int.from_bytes(head) - 4) or b"" if len(head) == 4 else b""


def refusing(sqlstate: str, message: str, function: str) -> bytes:
    """What PostgreSQL sends instead of a login: an ErrorResponse."""
    fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message, "F": "x.c", "L": "1", "R": function}
    body = b"".join(name.encode() + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body
