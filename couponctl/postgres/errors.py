"""The one place that translates driver errors after a login into those of `couponctl.errors`.

Errors during a login are translated in `couponctl.postgres.login_errors`.

Errors are told apart by SQLSTATE, by type, and by whether the connection survived; never by message.
SQLSTATEs: PostgreSQL documentation, appendix A.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from couponctl.errors import (
    BadSettings,
    Contended,
    CouponctlError,
    LoginRefused,
    NoPrivilege,
    OutcomeUnknown,
    OutOfResources,
    PoolExhausted,
    ReadOnlyServer,
    SchemaMissing,
    TimedOut,
    TooFewFiles,
    Unavailable,
    Unreachable,
)
from couponctl.postgres.answer_limit import FLOODED, Flood
from couponctl.postgres.sqlstates import ServerError, error_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

READ_ONLY = "25006"

_ALTERED_MEANWHILE = (
    asyncpg.InvalidCachedStatementError,
    AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError,
)

_BY_SQLSTATE: dict[str, Callable[[Limits], CouponctlError]] = {
    "08P01": lambda _: BadSettings(
        "the server does not accept couponctl's session settings, as PgBouncer does not",
        "Connect to PostgreSQL itself, or name them in PgBouncer's ignore_startup_parameters",
    ),
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
    "53100": lambda _: OutOfResources("disk space"),
    "53200": lambda _: OutOfResources("memory"),
    "55P03": lambda limits: TimedOut(f"the row was locked for more than {limits.lock_timeout:g} s"),
    "57014": lambda limits: TimedOut(
        f"the statement was cancelled, as one is after {limits.statement_timeout:g} s"
    ),
}
"""Errors of single codes; `sqlstates` decides the others by class. The connection survives most of these."""

_OF_OUR_SQL = {"3F000", "42501", "42703", "42704", "42P01"}
"""Codes with these errors for our own statements, but not when raised in a function of the database."""

_UNREACHABLE_BY_SQLSTATE = {
    "53300": "it has no connection slot left",
    "57P01": "it is being shut down",
    "57P02": "it crashed and recovers",
    "57P03": "it is starting up, recovering or shutting down",
}

_UNREACHABLE_BY_TYPE: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "no answer in time"),
    (Flood, FLOODED),
)


def sqlstate_of(exc: BaseException) -> str | None:
    state = getattr(getattr(exc, "orig", exc), "sqlstate", None)
    return state if isinstance(state, str) else None


class Stage(Enum):
    """How far the work had come when the error was raised."""

    CONNECTING = "no connection had been made"
    WORKING = "what was done is rolled back"
    COMMITTING = "a connection lost now leaves the outcome unknown"


def translated(
    exc: Exception, server: Server, limits: Limits, stage: Stage, *, lost: bool = False
) -> CouponctlError | None:
    """Return our error for a driver's error; None if it is not one, or not expected.

    `lost`: the connection is gone, whatever the error says.
    """
    if isinstance(exc, PoolTimeoutError):
        return PoolExhausted(limits.pool_size, limits.acquire_timeout)
    if isinstance(getattr(exc, "orig", exc), _ALTERED_MEANWHILE):
        return Contended()  # the tables were altered meanwhile; the next try plans anew
    if stage is Stage.CONNECTING and isinstance(exc, ValueError | AssertionError):
        # How the libraries fail on a greeting, mostly on a version that they cannot parse.
        return BadSettings(
            f"the server there is not a PostgreSQL that couponctl understands ({server.where})",
            "Connect to PostgreSQL itself: check host and port, and what stands in between",
        )
    state, lost = sqlstate_of(exc), lost or _connection_lost(exc)
    if lost and stage is Stage.COMMITTING and state != READ_ONLY:
        return OutcomeUnknown()  # READ_ONLY is a plain answer: that connection was discarded, not lost
    in_function = bool(getattr(_drivers_own(exc), "context", None))
    if state in _BY_SQLSTATE and not (in_function and state in _OF_OUR_SQL):
        return _BY_SQLSTATE[state](limits)
    if state in _UNREACHABLE_BY_SQLSTATE or lost:
        return _unreachable(exc, state, server)
    if isinstance(exc, UnicodeDecodeError):
        return BadSettings(
            "the database holds text that is not UTF-8, as one with the encoding SQL_ASCII may",
            "Correct those rows, or use a database with the encoding UTF8",
        )
    return None if state is None else error_for(_said(exc, state, in_function=in_function))


def _said(exc: BaseException, state: str, *, in_function: bool) -> ServerError:
    own = _drivers_own(exc)
    return ServerError(
        sqlstate=state,
        message=getattr(own, "message", None) or "",
        constraint=getattr(own, "constraint_name", None),
        column=getattr(own, "column_name", None),
        in_function=in_function,
    )


def _drivers_own(exc: BaseException) -> BaseException:
    """Return the driver's own error, unwrapped from SQLAlchemy's, which may be of another class."""
    adapted = getattr(exc, "orig", None)
    if adapted is None:
        return exc
    # Before SQLAlchemy 2.1, it is only the cause.
    own: BaseException = getattr(adapted, "driver_exception", None) or adapted.__cause__ or adapted
    return own


def _connection_lost(exc: BaseException) -> bool:
    # One terminated backend shows up as several classes, most of them without a SQLSTATE.
    return (
        getattr(exc, "connection_invalidated", False)
        or (sqlstate_of(exc) or "").startswith("08")
        or isinstance(_drivers_own(exc), OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)
    )


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield the driver's own error and its causes."""
    exc = exc and _drivers_own(exc)
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _unreachable(exc: BaseException, state: str | None, server: Server) -> Unavailable:
    if TooFewFiles.explains(exc):
        return TooFewFiles()
    causes = tuple(_causes(exc))
    reason = _UNREACHABLE_BY_SQLSTATE.get(state or "") or next(
        (words for kind, words in _UNREACHABLE_BY_TYPE if any(isinstance(one, kind) for one in causes)),
        "the connection was lost",
    )
    return Unreachable(f"{reason} ({server.where})")
