"""How many connections to use, and how long to wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections to use, and how long to wait; times in seconds."""

    pool_size: int = 10
    """Maximum number of connections; COUPONCTL_POOL_SIZE overrides the context."""
    acquire_timeout: float = 30.0
    """Waiting for a connection from the pool."""
    connect_timeout: float = 5.0
    """Connecting, per host; libpq's connect_timeout sets it, except 0, which would wait forever."""
    lock_timeout: float = 5.0
    """Waiting for a lock, ended by the server."""
    statement_timeout: float = 10.0
    """One statement, ended by the server."""
    command_timeout: float = 15.0
    """One statement, ended by the client; longer than `statement_timeout`, so that the server acts first."""


DEFAULT_LIMITS = Limits()
