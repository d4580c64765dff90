"""The domain's immutable data classes, shared by all floors above."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date, datetime


def label(name: str) -> str:
    """Return a name from the code as people read it: `sold_out` is sold out."""
    return name.replace("_", " ")


class Labelled(StrEnum):
    """Words of the code that people read too."""

    @property
    def label(self) -> str:
        return label(self)


class Outcome(Labelled):
    """How one attempt to claim ended; the words are the same in code, CLI, journals and JSON."""

    CLAIMED = "claimed"
    """The user has a unit, by this attempt."""
    ALREADY_CLAIMED = "already_claimed"
    """The user has a unit, and none was taken this time."""
    SOLD_OUT = "sold_out"
    NOT_FOUND = "not_found"
    """There is no such coupon."""
    REFUSED = "refused"
    """By the database's own rules."""
    TIMED_OUT = "timed_out"
    """The database took too long, and nothing was claimed."""
    POOL_EXHAUSTED = "pool_exhausted"
    """No connection was free in time, and nothing was sent."""
    UNAVAILABLE = "unavailable"
    """The database cannot be reached or used now, and nothing was claimed."""
    UNKNOWN = "unknown"
    """The answer was lost. To claim again is safe, and tells."""

    @property
    def status(self) -> int:
        """The HTTP status that a web shop would answer with."""
        return _STATUS[self]


_STATUS = {
    Outcome.CLAIMED: 201,
    Outcome.ALREADY_CLAIMED: 409,
    Outcome.SOLD_OUT: 400,
    Outcome.NOT_FOUND: 404,
    Outcome.REFUSED: 409,
    Outcome.TIMED_OUT: 504,
    Outcome.POOL_EXHAUSTED: 503,
    Outcome.UNAVAILABLE: 503,
    Outcome.UNKNOWN: 504,
}


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon and its stock."""

    name: str
    amount: int
    """Units at the start of the sale."""
    remaining_amount: int
    """Units left."""
    created_at: datetime | date | None
    """None if the database has no time, or one outside Python's calendar."""

    @property
    def claimed_amount(self) -> int:
        return self.amount - self.remaining_amount

    @property
    def sold_out(self) -> bool:
        return self.remaining_amount <= 0


class Sort(StrEnum):
    """Orders in which coupons can be listed; ties are ordered by name."""

    NAME = "name"
    REMAINING = "remaining"
    """Fewest units left first."""
    CLAIMED = "claimed"
    """Most claimed first."""
    AMOUNT = "amount"
    """Largest first."""
    CREATED = "created"
    """Newest first."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What row-level security may hide from the connected role."""

    role: str
    coupons: bool
    claims: bool


@dataclass(frozen=True, slots=True)
class CouponPage:
    """A page of coupons in the requested order; pass `next` as `after` for the following page."""

    coupons: tuple[Coupon, ...]
    next: str | None
    hidden: Hidden | None = None


@dataclass(frozen=True, slots=True)
class Claimants:
    """A coupon with a page of its claimants, ordered by user id; pass `next` as `after`."""

    coupon: Coupon
    claimed_by: tuple[str, ...]
    next: str | None
    hidden: Hidden | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One user's unit of a coupon."""

    user_id: str
    created_at: datetime | date | None
    """None if the database has no time, or one outside Python's calendar."""


class Phases(NamedTuple):
    """Where one attempt spent its time, in seconds; None where the strategy does not measure it."""

    pool_wait: float | None = None
    lock_wait: float | None = None
    execute: float | None = None
    commit: float | None = None


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The client's connection pool at one moment; times in milliseconds."""

    size: int
    in_use: int
    idle: int
    waiting: int
    """Tasks waiting for a connection: all are lent, or their coupon has its maximum."""
    peak_in_use: int
    peak_waiting: int
    acquires: int
    acquire_failures: int
    """Acquires that timed out."""
    acquire_p50_ms: float | None
    """Over the last minute's acquires, at most the last 1000; None without any."""
    acquire_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class ServerStats:
    """The server at one moment, as seen by the connected role."""

    version: str
    backends: int
    """Client backends on this database."""
    max_connections: int
    active: int
    idle_in_transaction: int
    lock_waits: int
    """Backends waiting for a lock."""
    own_backends: int
    """Backends opened by couponctl, this command's included."""
    hidden: Hidden | None = None
    """Hidden rows of the ledger, not backends."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One client connection at one moment, as far as the connected role may see it."""

    pid: int
    application: str
    """The client's application_name: untrusted text."""
    user: str
    """The role; empty for a process of the server itself, which is listed only if it blocks a client."""
    state: str
    """PostgreSQL's state, such as `idle in transaction`; empty if hidden."""
    wait: str
    """What it waits for, such as `Lock:transactionid`; empty if it does not wait, or hidden."""
    age: float | None
    """Seconds in its lock wait, else in its statement, else in its state; None if hidden."""
    query: str | None
    """The beginning of its current or last statement; None if hidden."""
    blocked_by: tuple[int, ...] = ()
    """Pids of the backends that it waits for; 0 stands for a prepared transaction, which has no process."""

    @property
    def own(self) -> bool:
        """Whether couponctl opened it."""
        return self.application.startswith("couponctl/")

    @property
    def hidden(self) -> bool:
        """Whether the connected role may not see what it does; pg_read_all_stats would allow it."""
        return self.query is None

    @property
    def waits_for_lock(self) -> bool:
        return bool(self.blocked_by) or self.wait.startswith("Lock:")


@dataclass(frozen=True, slots=True)
class Activity:
    """What the server does for one database at one moment."""

    stats: ServerStats
    backends: tuple[Backend, ...]
    """All but the one that asks: blockers, lock waits, active, in transaction, others; each longest first."""
    truncated: bool
    """There are more backends than listed."""
    commits: int
    """Commits since the database's counters were reset; a backend reports its own about once a second."""
    rollbacks: int
    """Rollbacks, counted the same way; a pool that pings connections before lending them adds one each."""
    at: float
    """Seconds of the monotonic clock, to compute rates from two snapshots of the counters."""

    @property
    def hidden(self) -> int:
        """Number of listed backends whose activity is hidden from the connected role."""
        return sum(backend.hidden for backend in self.backends)


@dataclass(frozen=True, slots=True)
class Blocking:
    """A backend that blocks others or waits for a lock: one row of a forest, in depth-first order."""

    pid: int
    """0 stands for the prepared transactions."""
    backend: Backend | None
    """None for prepared transactions, and backends that have disconnected since."""
    depth: int
    """0 for a root; a deeper row waits for the nearest row above that is one less deep."""
    below: int | None
    """The pid of that row, None for a root; a backend that waits for several has only one."""

    @property
    def circular(self) -> bool:
        """Whether it is a root because it is in a cycle of waits, which has no beginning."""
        return self.below is None and self.backend is not None and bool(self.backend.blocked_by)


class FindingKind(Labelled):
    """What can be wrong with a ledger."""

    OVERSOLD = "oversold"
    """More claims than units."""
    OVERSTATED_STOCK = "overstated_stock"
    """The stock exceeds the unclaimed units: the coupon will be oversold."""
    LOST_STOCK = "lost_stock"
    """The stock is less than the unclaimed units: nobody can claim the difference."""
    NEGATIVE_STOCK = "negative_stock"
    DUPLICATE_CLAIM = "duplicate_claim"
    ORPHAN_CLAIM = "orphan_claim"
    MISSING_CONSTRAINT = "missing_constraint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the ledger."""

    coupon: str | None
    """None if it concerns the whole database."""
    kind: FindingKind
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The counters compared with the claims, in one snapshot of the database."""

    coupons: int
    claims: int
    findings: tuple[Finding, ...]
    not_told: tuple[str, ...] = ()
    """Rules of the tables that could not be judged, and why."""
    hidden: Hidden | None = None
    """Set if the role may see only part of the ledger; findings that need the hidden part are left out."""

    @property
    def ok(self) -> bool:
        """Nothing is wrong, and the role saw everything."""
        return not self.findings and self.hidden is None

    @property
    def inconclusive(self) -> bool:
        """Nothing is wrong, but the role may not have seen everything."""
        return not self.findings and self.hidden is not None
