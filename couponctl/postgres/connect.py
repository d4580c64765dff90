"""Logging in: connect to the first host that accepts, with the server's own limits set."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from logging import INFO, WARNING
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg

from couponctl.errors import CouponctlError, LoginRefused, Unreachable
from couponctl.errors.login import NoHostFits, TlsNotOffered
from couponctl.logs import logger
from couponctl.postgres.answer_limit import ANSWER, WatchfulLoop, Wire
from couponctl.postgres.login_errors import refusal, unfit
from couponctl.postgres.passfile import password_in

if TYPE_CHECKING:
    from couponctl.postgres.libpq import Host, Server
    from couponctl.postgres.limits import Limits

_ABANDONED_CHECK = "2s"
"""How often the server checks, during a statement, whether the client is still connected."""

_SSL_REQUEST = struct.pack("!ll", 8, 80877103)

_WANT_TLS = {"require", "verify-ca", "verify-full"}


_log = logger(__name__)

_left_out: dict[tuple[Host, str], str] = {}
"""Why a host is left out at present, by what was wanted of it: logged once, and not at each login."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection that has logged in: answers may now be long."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: Wire, loop: WatchfulLoop, *rest: Any) -> None:
        transport.allow(ANSWER)
        try:
            # The loop itself, not its wrapper: the driver asks asyncio for the current task of this loop.
            super().__init__(protocol, transport, loop.loop, *rest)
        except ValueError:
            protocol.abort()  # left open, the half-made connection would warn about it when collected
            raise


async def connect_first_host(server: Server, limits: Limits, application: str) -> asyncpg.Connection:
    """Connect to the first host that accepts and fits; each host has its own `connect_timeout`.

    The driver's timeout would cover all hosts together, and one that drops packets would use it up.
    Raises Unreachable, LoginRefused and the other errors of `couponctl.errors.login`.
    """
    refused: list[tuple[Host, CouponctlError]] = []
    prefers = server.session_attrs == "prefer-standby"
    for attrs in ("standby", "any") if prefers else (server.session_attrs,):
        for host in server.hosts:
            began = perf_counter()
            try:
                connection = await _logged_in(server, host, limits, application, attrs)
            except LoginRefused:
                raise  # as in libpq: the other hosts would refuse, too
            except CouponctlError as exc:
                _note_left_out(host, attrs, exc, perf_counter() - began)
                refused.append((host, exc))
            else:
                _note_taken(host, attrs, connection, perf_counter() - began)
                return connection
    raise _summed_up(server, refused[-len(server.hosts) :]) from refused[-1][1].__cause__


def _note_left_out(host: Host, attrs: str, error: CouponctlError, seconds: float) -> None:
    words = error.reason if isinstance(error, Unreachable | NoHostFits) else error.message
    if _left_out.get((host, attrs)) == words:
        return
    _left_out[host, attrs] = words
    level = INFO if isinstance(error, NoHostFits) else WARNING
    _log.log(level, "Host %s is left out, until it can be used, after %.1f s: %s.", host, seconds, words)


def _note_taken(host: Host, attrs: str, connection: asyncpg.Connection, seconds: float) -> None:
    if _left_out.pop((host, attrs), None) is not None:
        _log.info("Host %s can be used again.", host)
    pid = connection.get_server_pid()
    _log.debug("Connected to %s as backend %s in %.0f ms.", host, pid, seconds * 1000)


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
            # A function may return None; for a plain None, the driver would read files and variables itself.
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
    """Return the password for a host, as libpq finds it, and where it came from, in words."""
    if server.password is not None:
        return server.password, "the password is the one that was given"
    name = host.listed_as or host.host
    default = name in {"/run/postgresql", "/var/run/postgresql", "/tmp"}  # noqa: S108 - names, not files
    hosts = (name, "localhost") if default else (name,)
    password = password_in(
        server.passfile, hosts=hosts, port=host.port, database=server.database, user=server.user
    )
    if password is None:
        return None, "no password was found"
    return password, f"the password is from {server.passfile}"


def _summed_up(server: Server, refused: list[tuple[Host, CouponctlError]]) -> CouponctlError:
    """Return one error for all hosts: the first that the operator must fix, else all reasons."""
    unreachable = [(host, exc) for host, exc in refused if isinstance(exc, Unreachable)]
    if len(unreachable) < len(refused):
        return next(exc for _, exc in refused if not isinstance(exc, Unreachable))
    kinds = {type(exc) for _, exc in unreachable}
    kind = kinds.pop() if len(kinds) == 1 else Unreachable
    if len(unreachable) == 1:
        return kind(f"{unreachable[0][1].reason} ({server.where})")
    return kind(f"{'; '.join(f'{host}: {exc.reason}' for host, exc in unreachable)} ({server.where})")


async def _offers_tls(host: Host, patience: float) -> bool:
    """Whether the server offers TLS, which the driver does not tell from a broken connection.

    Raises OSError if it does not answer.
    """
    if host.host.startswith("/"):
        return True  # a Unix socket needs none
    async with asyncio.timeout(patience):
        answers, questions = await asyncio.open_connection(host.host, host.port)
        try:
            questions.write(_SSL_REQUEST)
            return await answers.read(1) != b"N"
        finally:
            questions.close()


def _session_settings(limits: Limits, application: str) -> dict[str, str]:
    """Return the session's settings; statements time out before the client's limit, so it survives that."""
    return {
        "application_name": application,
        "default_transaction_isolation": "read committed",
        "lock_timeout": f"{limits.lock_timeout * 1000:.0f}",
        "statement_timeout": f"{limits.statement_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{limits.command_timeout * 1000:.0f}",
        "client_connection_check_interval": _ABANDONED_CHECK,
    }
