"""How much of a database to use, and for how long to wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a database to use, and for how long to wait; times in seconds."""

    pool_size: int = 10
    """The most connections at once; COUPONCTL_POOL_SIZE beats the context."""
    acquire_timeout: float = 30.0
    """Waiting for a connection of the pool."""
    connect_timeout: float = 5.0
    """Connecting, for each host; libpq's parameter counts, but not its 0, which waits for ever."""
    lock_timeout: float = 5.0
    """Waiting for a row, ended by the server."""
    statement_timeout: float = 10.0
    """One statement, ended by the server."""
    command_timeout: float = 15.0
    """One statement, ended by the client; longer than `statement_timeout`, so that the server wins."""


DEFAULT_LIMITS = Limits()
