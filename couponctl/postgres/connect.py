"""Logging in: a connection to the first host that takes one, with the server's own limits set."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg

from couponctl.errors import CouponctlError, LoginRefused, Unreachable
from couponctl.errors.login import TlsNotOffered
from couponctl.postgres.flood import ANSWER, WatchfulLoop, Wire
from couponctl.postgres.login_errors import refusal, unfit
from couponctl.postgres.passfile import password_in

if TYPE_CHECKING:
    from couponctl.postgres.libpq import Host, Server
    from couponctl.postgres.limits import Limits

_ABANDONED_CHECK = "2s"
"""How often the server looks whether a client that it works for is still there."""

_SSL_REQUEST = struct.pack("!ll", 8, 80877103)

_WANT_TLS = {"require", "verify-ca", "verify-full"}


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


async def connect_first_host(server: Server, limits: Limits, application: str) -> asyncpg.Connection:
    """A connection to the first host that takes one and fits; each has `connect_timeout` of its own.

    The driver's timeout would cover all hosts together, and one that swallows packets would eat it.
    Raises Unreachable, LoginRefused and the other errors of `couponctl.errors.login`.
    """
    refused: list[tuple[Host, CouponctlError]] = []
    prefers = server.session_attrs == "prefer-standby"
    for attrs in ("standby", "any") if prefers else (server.session_attrs,):
        for host in server.hosts:
            try:
                return await _logged_in(server, host, limits, application, attrs)
            except LoginRefused:
                raise  # as libpq: the other hosts would say the same
            except CouponctlError as exc:
                refused.append((host, exc))
    raise _summed_up(server, refused[-len(server.hosts) :]) from refused[-1][1].__cause__


async def _logged_in(
    server: Server, host: Host, limits: Limits, application: str, attrs: str
) -> asyncpg.Connection:
    password, given = _password(server, host)
    try:
        return await asyncpg.connect(
            server.dsn,
            loop=WatchfulLoop(asyncio.get_running_loop()),
            connection_class=_Connection,
            host=host.host,
            port=host.port,
            # As a function, None is an answer too: the driver would look into files and variables itself.
            password=lambda: password,
            timeout=limits.connect_timeout,
            command_timeout=limits.command_timeout,
            target_session_attrs=attrs,
            server_settings=_session_settings(limits, application),
        )
    except asyncpg.TargetServerAttributeNotMatched as exc:
        raise unfit(attrs) from exc
    except Exception as exc:
        error = refusal(exc, server, host, given)
        if isinstance(error, Unreachable) and server.sslmode in _WANT_TLS:
            with suppress(OSError):
                if not await _offers_tls(host, limits.connect_timeout):
                    error = TlsNotOffered(str(host), server.sslmode)
        if error is None:
            raise
        raise error from exc


def _password(server: Server, host: Host) -> tuple[str | None, str]:
    """The password for a host, as libpq finds it, and where it came from, for people."""
    if server.password is not None:
        return server.password, "the password is the one that was given"
    name = host.listed_as or host.host
    default = name in {"/run/postgresql", "/var/run/postgresql", "/tmp"}  # noqa: S108 - names, no files
    hosts = (name, "localhost") if default else (name,)
    password = password_in(
        server.passfile, hosts=hosts, port=host.port, database=server.database, user=server.user
    )
    if password is None:
        return None, "no password was found"
    return password, f"the password is from {server.passfile}"


def _summed_up(server: Server, refused: list[tuple[Host, CouponctlError]]) -> CouponctlError:
    """One error for all hosts: what the operator must mend, else what each of them said."""
    unreachable = [(host, exc) for host, exc in refused if isinstance(exc, Unreachable)]
    if len(unreachable) < len(refused):
        return next(exc for _, exc in refused if not isinstance(exc, Unreachable))
    kinds = {type(exc) for _, exc in unreachable}
    kind = kinds.pop() if len(kinds) == 1 else Unreachable
    if len(unreachable) == 1:
        return kind(f"{unreachable[0][1].reason} ({server.where})")
    return kind(f"{'; '.join(f'{host}: {exc.reason}' for host, exc in unreachable)} ({server.where})")


async def _offers_tls(host: Host, patience: float) -> bool:
    """Whether a server would encrypt; the driver does not tell that from a broken connection.

    Raises OSError where it does not say.
    """
    if host.host.startswith("/"):
        return True  # a socket needs none
    async with asyncio.timeout(patience):
        answers, questions = await asyncio.open_connection(host.host, host.port)
        try:
            questions.write(_SSL_REQUEST)
            return await answers.read(1) != b"N"
        finally:
            questions.close()


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
