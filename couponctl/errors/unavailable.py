"""The database cannot answer now."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from couponctl.errors.base import CouponctlError
from couponctl.models import Outcome


class Unavailable(CouponctlError):
    """The database cannot answer now.

    Try again; `couponctl doctor` says what is wrong.
    """

    outcome = Outcome.UNAVAILABLE


@dataclass(eq=False)
class Unreachable(Unavailable):
    """The database cannot be reached: {reason}.

    Check that the server runs and the address is right; `couponctl doctor` looks closer.
    """

    outcome = Outcome.UNAVAILABLE
    reason: str


class TooFewFiles(Unavailable):
    """This process has too many open files for its limit.

    Raise it, as with `ulimit -n 1024`, and try again.
    """

    outcome = Outcome.UNAVAILABLE

    @classmethod
    def explains(cls, exc: BaseException | None) -> bool:
        """Whether this is what an error comes from."""
        while exc is not None:
            if isinstance(exc, OSError) and exc.errno in {errno.EMFILE, errno.ENFILE}:
                return True
            exc = exc.__cause__ or exc.__context__
        return False


@dataclass(eq=False)
class PoolExhausted(Unavailable):
    """All {size} connections of the pool were busy for {seconds:g} s, and nothing was sent.

    Try again, or give the pool more connections: COUPONCTL_POOL_SIZE.
    """

    outcome = Outcome.POOL_EXHAUSTED
    size: int
    seconds: float


@dataclass(eq=False)
class TimedOut(Unavailable):
    """The database took too long: {reason}; the work was rolled back.

    Try again; `couponctl stats` shows who waits for a lock.
    """

    outcome = Outcome.TIMED_OUT
    reason: str


class Contended(Unavailable):
    """The database rolled this work back because it conflicted with concurrent work.

    Try again.
    """

    outcome = Outcome.UNAVAILABLE


@dataclass(eq=False)
class NoHeadRoom(Unavailable):
    """The drill needs {needed} connections, and {free} of the {limit} that {limited_by} allows are free.

    Lower --pool-size, raise {limited_by}, or wait until others have left; nothing was created.
    """

    outcome = Outcome.UNAVAILABLE
    needed: int
    free: int
    limit: int
    limited_by: str


@dataclass(eq=False)
class OutOfResources(Unavailable):
    """The server has run out of {resource}; the work was rolled back.

    Make room there, then run the same command again.
    """

    outcome = Outcome.UNAVAILABLE
    resource: str


class ServiceClosed(Unavailable):
    """This service has been closed, and nothing was sent.

    Keep it open for as long as it is used.
    """

    outcome = Outcome.UNAVAILABLE


class OutcomeUnknown(Unavailable):
    """The connection was lost before the answer came, so it is not known whether the work was done.

    Run the same command again: it is safe, nothing is done twice.
    """

    outcome = Outcome.UNKNOWN
