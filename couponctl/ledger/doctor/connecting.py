"""The stages of a login: settings, name, network, TLS, login, database; where it fails, and why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from couponctl.errors import BadSettings, LoginRefused, Unavailable, Unreachable
from couponctl.errors.login import (
    CertificateRefused,
    CertificateWanted,
    HostUnknown,
    MayNotConnect,
    NoHostFits,
    NotAccepting,
    ServerNotTrusted,
    Silent,
    TlsFilesUnusable,
    TlsNotAgreed,
    TlsNotOffered,
    UnknownDatabase,
)
from couponctl.guards import PRODUCTION
from couponctl.ledger.doctor.diagnosis import Diagnosis, State, skipped
from couponctl.postgres.libpq import Server
from couponctl.postgres.passfile import complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.errors import CouponctlError
    from couponctl.settings import Settings

NETWORK = ("tcp", "socket")

_STAGE_OF: dict[type[CouponctlError], str] = {
    HostUnknown: "name",
    CertificateRefused: "tls",
    CertificateWanted: "tls",
    ServerNotTrusted: "tls",
    TlsFilesUnusable: "tls",
    TlsNotAgreed: "tls",
    TlsNotOffered: "tls",
    NotAccepting: "server",
    NoHostFits: "server",
    UnknownDatabase: "database",
    MayNotConnect: "database",
    LoginRefused: "login",
    BadSettings: "login",
    Unreachable: "tcp",
    Unavailable: "server",
}
"""The stage at which a login fails with this error; for all others, the database."""

UNREACHABLE = {"name", *NETWORK, "server"}
"""Stages whose failure means that the server cannot be reached, at least now."""


def stages(server: Server | None) -> tuple[str, ...]:
    """Return the stages from the settings to the database, in the order of a login."""
    on_socket = server is not None and all(host.host.startswith("/") for host in server.hosts)
    return (*(("socket",) if on_socket else ("name", "tcp")), "tls", "server", "login", "database")


def settings_said(server: Server) -> Iterator[Diagnosis]:
    yield Diagnosis("settings", State.OK, f"{server.where} (from {server.source})")
    if server.password is None and (why := complaint(server.passfile)):
        yield Diagnosis("settings", State.WARNING, why)


def guards_said(settings: Settings) -> Iterator[Diagnosis]:
    """Report what the operator has forbidden, or requires to be confirmed."""
    target = settings.target
    if settings.read_only:
        detail = "read_only: couponctl only lists, shows, verifies and watches here"
        yield Diagnosis("guards", State.WARNING, detail)
    elif isinstance(target, Server) and target.only_reads:
        yield Diagnosis(
            "guards",
            State.WRONG,
            f"target_session_attrs={target.session_attrs} looks for a server that takes no writes",
            "Leave it out, or set read_only = true in the context.",
        )
    elif settings.environment == PRODUCTION and isinstance(target, Server):
        detail = f"production: drills and destructive commands require --confirm {target.database}"
        yield Diagnosis("guards", State.OK, detail)
    else:
        yield Diagnosis("guards", State.OK, "nothing is forbidden")


def passed(server: Server, encryption: str | None) -> Iterator[Diagnosis]:
    """Report the stages of a successful login; `encryption` is its TLS, as the server reports it."""
    details = {
        "name": "the name of the host is known",
        "tcp": "the port takes connections",
        "socket": "a server listens on it",
        "server": "it takes connections",
        "login": f"role {server.user} is let in",
        "database": f"{server.database} is there",
    }
    for stage in stages(server):
        if stage == "tls":
            yield _encrypted(server, encryption)
        else:
            yield Diagnosis(stage, State.OK, details[stage])


async def broken_off(error: CouponctlError, server: Server, patience: float) -> tuple[Diagnosis, ...]:
    """Return the stages of a login that ended in this error: passed, failed and skipped."""
    failed = _failed_at(error, server)
    if isinstance(error, Silent) and await _takes_connections(server, patience):
        failed = "server"
    way = stages(server)
    before, after = way[: way.index(failed)], way[way.index(failed) + 1 :]
    return (
        *(Diagnosis(stage, State.OK, "passed") for stage in before),
        Diagnosis(failed, State.WRONG, error.message.removesuffix("."), error.remedy),
        *skipped(*after, after=failed),
    )


def _failed_at(error: CouponctlError, server: Server) -> str:
    stage = next((_STAGE_OF[kind] for kind in type(error).__mro__ if kind in _STAGE_OF), "database")
    if stage in stages(server):
        return stage
    return "socket"


def _encrypted(server: Server, encryption: str | None) -> Diagnosis:
    if "socket" in stages(server):
        return Diagnosis("tls", State.OK, "a socket needs none")
    if encryption:
        looked_at = {"verify-full": "certificate and name", "verify-ca": "certificate"}.get(server.sslmode)
        checked = f"{looked_at} verified" if looked_at else "the server's certificate was not checked"
        return Diagnosis("tls", State.OK, f"{encryption}, {checked}")
    here = {"localhost", "127.0.0.1", "::1"}
    if server.sslmode == "disable" or all(host.host in here for host in server.hosts):
        return Diagnosis("tls", State.OK, "not encrypted")
    remedy = "Switch TLS on in the server, and set sslmode=verify-full."
    return Diagnosis("tls", State.WARNING, "the connection is not encrypted", remedy)


async def _takes_connections(server: Server, patience: float) -> bool:
    """Whether one of the hosts accepts connections, at least."""
    for host in server.hosts:
        try:
            async with asyncio.timeout(patience):
                if host.host.startswith("/"):
                    _, writer = await asyncio.open_unix_connection(f"{host.host}/.s.PGSQL.{host.port}")
                else:
                    _, writer = await asyncio.open_connection(host.host, host.port)
        except OSError:
            continue
        writer.close()
        return True
    return False
