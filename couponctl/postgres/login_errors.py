"""Translates driver errors during a login into those of `couponctl.errors.login`.

Errors are told apart by type, SQLSTATE and the server function that raised them, which do not depend on the
language; in a server's message, only `pg_hba.conf` is looked for, which every translation keeps.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import TYPE_CHECKING

import asyncpg

from couponctl.errors import CouponctlError, LoginRefused, TooFewFiles, Unreachable
from couponctl.errors.login import (
    CertificateRefused,
    CertificateWanted,
    HostUnknown,
    MayNotConnect,
    MayNotLogIn,
    NoHostFits,
    NotAccepting,
    NotAdmitted,
    ServerNotTrusted,
    Silent,
    TlsFilesUnusable,
    TlsNotAgreed,
    UnknownDatabase,
    WrongPassword,
)
from couponctl.models import label
from couponctl.postgres.answer_limit import FLOODED, Flood

if TYPE_CHECKING:
    from collections.abc import Callable

    from couponctl.postgres.libpq import Host, Server

_UNFIT = {
    "read-write": "takes no writes: a standby, or set read-only",
    "read-only": "takes writes",
    "primary": "is a standby",
    "standby": "is no standby",
}
"""Why a host does not fit a target_session_attrs."""

_BY_SQLSTATE: dict[str, Callable[[asyncpg.PostgresError, Server, str], CouponctlError]] = {
    "28000": lambda exc, server, _: _not_let_in(exc, server),
    "28P01": lambda _exc, server, given: WrongPassword(server.user, given),
    "3D000": lambda _exc, server, _given: UnknownDatabase(
        server.database, f"CREATE DATABASE {quoted(server.database)} OWNER {quoted(server.user)};"
    ),
    "42501": lambda _exc, server, _given: _kept_out(server),
    "55000": lambda _exc, server, _given: _kept_out(server),
    "53300": lambda *_: NotAccepting("it has no connection slot left"),
    "57P01": lambda *_: NotAccepting("it is being shut down"),
    "57P02": lambda *_: NotAccepting("it crashed and recovers"),
    "57P03": lambda *_: NotAccepting("it is starting up, recovering or shutting down"),
}

_BY_TYPE: tuple[tuple[type[BaseException], Unreachable], ...] = (
    (ConnectionRefusedError, Unreachable("connection refused")),
    (FileNotFoundError, Unreachable("no server listens on that socket")),
    (PermissionError, Unreachable("no permission to use that socket")),
    (socket.gaierror, HostUnknown("the host name is not known")),
    (TimeoutError, Silent("no answer in time")),
    (Flood, Unreachable(FLOODED)),
)


def unfit(attrs: str) -> NoHostFits:
    """Return the error for a host that lets us in, but does not fit this target_session_attrs."""
    return NoHostFits(_UNFIT[attrs])


def refusal(exc: Exception, server: Server, host: Host, given: str) -> CouponctlError | None:
    """Return our error for a failed login; None for an error that is not expected there.

    The reason of an Unreachable does not name the server yet. `given` says where the password is from.
    """
    if isinstance(exc, asyncpg.ClientConfigurationError):
        return TlsFilesUnusable()
    chain = tuple(filter(None, (exc, exc.__cause__)))
    if TooFewFiles.explains(exc):
        return TooFewFiles()
    tls = next((one for one in chain if isinstance(one, ssl.SSLError)), None)
    if tls is not None and not isinstance(tls, ssl.SSLEOFError):
        return _tls(tls, host)
    state = getattr(exc, "sqlstate", None)
    if isinstance(exc, asyncpg.PostgresError) and state in _BY_SQLSTATE:
        return _BY_SQLSTATE[state](exc, server, given)
    known = next((words for kind, words in _BY_TYPE if any(isinstance(one, kind) for one in chain)), None)
    if known is not None:
        return type(known)(known.reason)
    if isinstance(exc, OSError):
        return Unreachable(_words(exc))
    lost = isinstance(exc, asyncpg.ConnectionDoesNotExistError)
    return Unreachable("the connection was lost") if lost else None


def quoted(name: str) -> str:
    """Quote a name for SQL, if needed."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def _words(exc: OSError) -> str:
    if exc.errno is None:  # several addresses, each with its own error
        return "the connection was lost" if isinstance(exc, ConnectionError) else "no address of it answers"
    return os.strerror(exc.errno).lower()


def _tls(exc: ssl.SSLError, host: Host) -> CouponctlError:
    if isinstance(exc, ssl.SSLCertVerificationError):
        why = f"{exc.verify_message} ({host})".replace(". (", " (")
        if "mismatch" in exc.verify_message:  # OpenSSL's own message, which is never translated
            way_out = "Connect by the name that the certificate has; sslmode=verify-ca looks at no name."
        else:
            way_out = "Name the certificate of the authority that signed it: sslrootcert or PGSSLROOTCERT."
        return ServerNotTrusted(why, way_out)
    if exc.library != "SSL" or not exc.reason:
        return TlsFilesUnusable()
    why = label(exc.reason.lower())
    by_certificate = re.search(r"ALERT.*(CERT|UNKNOWN_CA)", exc.reason)
    return CertificateRefused(why) if by_certificate else TlsNotAgreed(str(host), why)


def _not_let_in(exc: asyncpg.PostgresError, server: Server) -> LoginRefused:
    # With sslmode=prefer, the driver tries twice: the error over TLS is the cause of the one without.
    both = [each for each in (exc.__cause__, exc) if isinstance(each, asyncpg.PostgresError)]
    if any(_wants_certificate(each) for each in both):
        return CertificateWanted(server.user)
    if any("pg_hba.conf" in str(each) for each in both):
        return NotAdmitted(server.user, server.database, _way(server, tried=len(both)))
    if exc.server_source_function in {"InitializeSessionUserId", "auth_failed"}:
        return MayNotLogIn(server.user)
    return LoginRefused()


def _wants_certificate(exc: asyncpg.PostgresError) -> bool:
    return exc.server_source_function == "ClientAuthentication" and "pg_hba.conf" not in str(exc)


def _way(server: Server, *, tried: int) -> str:
    if any(host.host.startswith("/") for host in server.hosts):
        return "through this socket"
    if tried == 2:
        return "from this address, with TLS or without"
    encrypted = server.sslmode in {"require", "verify-ca", "verify-full"}
    return f"from this address {'over TLS' if encrypted else 'without TLS'}"


def _kept_out(server: Server) -> MayNotConnect:
    grant = f"GRANT CONNECT ON DATABASE {quoted(server.database)} TO {quoted(server.user)};"
    return MayNotConnect(server.user, grant)
