"""What goes wrong with a pool and its connections, for the log."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from couponctl.errors import OutcomeUnknown, ReadOnlyServer, Unreachable
from couponctl.logs import logger

if TYPE_CHECKING:
    from couponctl.errors import CouponctlError
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

_log = logger(__name__)

_QUIET = 1.0
"""Seconds between two messages about an exhausted pool, which a storm fails to enter by the thousand."""

_SENTENCES: dict[type[CouponctlError], str] = {
    OutcomeUnknown: "The connection to %s broke around a commit, whose outcome only a retry can find out.",
    Unreachable: "A connection to %s was lost in the middle of its work, which is rolled back.",
    ReadOnlyServer: "%s takes no writes, as a demoted primary: its connection is left for another.",
}


def note_failed_work(error: CouponctlError | None, server: Server) -> None:
    """Log that a connection is gone; errors that it survives are answers."""
    for kind, sentence in _SENTENCES.items():
        if isinstance(error, kind):
            _log.warning(sentence, server.where)


def note_end(connection: Any, level: int, how: str) -> None:
    """Log how a driver's connection ends; asyncpg has no backend for one that it has aborted."""
    try:
        backend = connection.get_server_pid()
    except AttributeError:
        backend = "unknown"
    _log.log(level, "The connection of backend %s %s.", backend, how)


class ExhaustionNotes:
    """Logs that a pool has no connection left, with how many waited for one in vain."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_vain = 0
        """Since the last message."""
        self._quiet_until = 0.0

    def add(self, *, waiting: int) -> None:
        self._in_vain += 1
        if perf_counter() > self._quiet_until:
            _log.warning(
                "All %s connections of the pool stayed busy: %s waited %g s in vain, %s still wait.",
                self._limits.pool_size,
                self._in_vain,
                self._limits.acquire_timeout,
                waiting,
            )
            self._in_vain, self._quiet_until = 0, perf_counter() + _QUIET
