"""The one place where what a driver raises becomes one of `couponctl.errors`, once it is logged in.

What it raises before that is told apart in `couponctl.login_failures`.

Told apart by SQLSTATE, by type, and by whether the connection survived; never by a message.
SQLSTATEs: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from couponctl.errors import (
    BadSettings,
    Contended,
    CouponctlError,
    Invalid,
    LoginRefused,
    NoPrivilege,
    OutcomeUnknown,
    PoolExhausted,
    ReadOnlyServer,
    RuleViolated,
    SchemaMissing,
    TimedOut,
    Unavailable,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from couponctl.libpq import Server
    from couponctl.settings import Limits

READ_ONLY = "25006"

_ALTERED_MEANWHILE = (
    asyncpg.InvalidCachedStatementError,
    AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError,
)

_BY_SQLSTATE: dict[str, Callable[[Limits], CouponctlError]] = {
    "08P01": lambda _: BadSettings(
        "the server does not take couponctl's session settings, which is how PgBouncer answers",
        "Connect to PostgreSQL itself, or name them in PgBouncer's ignore_startup_parameters",
    ),
    "22001": lambda _: Invalid("the name or user id", "is longer than this database's column allows"),
    "23505": lambda _: RuleViolated(),
    "23514": lambda _: RuleViolated(),
    "23503": lambda _: RuleViolated(),
    "25006": lambda _: ReadOnlyServer(),
    "28000": lambda _: LoginRefused(),
    "28P01": lambda _: LoginRefused(),
    "3D000": lambda _: LoginRefused(),
    "3F000": lambda _: SchemaMissing(),
    "42P01": lambda _: SchemaMissing(),
    "42703": lambda _: SchemaMissing(),
    "42501": lambda _: NoPrivilege(),
    "42704": lambda _: BadSettings(
        "the server does not know couponctl's session settings", "PostgreSQL 14 or newer does"
    ),
    "40001": lambda _: Contended(),
    "40P01": lambda _: Contended(),
    "55P03": lambda limits: TimedOut(f"the row was locked for more than {limits.lock_timeout:g} s"),
    "57014": lambda limits: TimedOut(
        f"the statement was cancelled, as one is after {limits.statement_timeout:g} s"
    ),
}
"""What the server says and means; the connection survives most of these."""

_UNREACHABLE_BY_SQLSTATE = {
    "53300": "it has no connection slot left",
    "57P01": "it is being shut down",
    "57P02": "it crashed and recovers",
    "57P03": "it is starting up, recovering or shutting down",
}


def sqlstate_of(exc: BaseException) -> str | None:
    state = getattr(getattr(exc, "orig", exc), "sqlstate", None)
    return state if isinstance(state, str) else None


def translated(
    exc: Exception, server: Server, limits: Limits, *, committing: bool, lost: bool = False
) -> CouponctlError | None:
    """Our error for a driver's, or None for what is not a driver's (or nobody expects).

    `committing`: the commit was under way, so that a lost connection leaves the outcome unknown.
    `lost`: the connection is gone, whatever the error says.
    """
    if isinstance(exc, PoolTimeoutError):
        return PoolExhausted(limits.pool_size, limits.acquire_timeout)
    if isinstance(getattr(exc, "orig", exc), _ALTERED_MEANWHILE):
        return Contended()  # the tables were altered meanwhile; the next try plans anew
    state, lost = sqlstate_of(exc), lost or _connection_lost(exc)
    if lost and committing and state != READ_ONLY:  # that connection was given up after a plain no
        return OutcomeUnknown()
    if state in _BY_SQLSTATE:
        return _BY_SQLSTATE[state](limits)
    if state in _UNREACHABLE_BY_SQLSTATE or lost:
        return _unreachable(exc, state, server)
    if state is not None and state.startswith("53"):
        return Unavailable()
    return None


def _drivers_own(exc: BaseException) -> BaseException:
    """What the driver raised, without what SQLAlchemy makes of it: its own may be of another class."""
    adapted = getattr(exc, "orig", exc)
    return getattr(adapted, "driver_exception", adapted)


def _connection_lost(exc: BaseException) -> bool:
    # One terminated backend shows up as several classes, most of them without a SQLSTATE.
    return (
        getattr(exc, "connection_invalidated", False)
        or (sqlstate_of(exc) or "").startswith("08")
        or isinstance(_drivers_own(exc), OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)
    )


def _unreachable(exc: BaseException, state: str | None, server: Server) -> Unreachable:
    silent = isinstance(exc, TimeoutError)
    reason = _UNREACHABLE_BY_SQLSTATE.get(state or "") or (
        "no answer in time" if silent else "the connection was lost"
    )
    return Unreachable(f"{reason} ({server.where})")
