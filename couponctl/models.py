"""What the domain is made of: frozen facts that every floor above may pass around."""

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
    ALREADY_CLAIMED = "already_claimed"
    SOLD_OUT = "sold_out"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    """By a rule of the database's own."""
    TIMED_OUT = "timed_out"
    POOL_EXHAUSTED = "pool_exhausted"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"

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
    """None where the database does not tell, or tells of a time that is not in Python's calendar."""

    @property
    def claimed_amount(self) -> int:
        return self.amount - self.remaining_amount

    @property
    def sold_out(self) -> bool:
        return self.remaining_amount <= 0


class Sort(StrEnum):
    """Orders in which coupons can be listed; the name decides between equals."""

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
    """What row-level security may keep from the role that asks."""

    role: str
    coupons: bool
    claims: bool


@dataclass(frozen=True, slots=True)
class CouponPage:
    """Coupons in the order asked for; `next` goes into `after` for the page after it."""

    coupons: tuple[Coupon, ...]
    next: str | None
    hidden: Hidden | None = None


@dataclass(frozen=True, slots=True)
class Claimants:
    """A coupon with a page of those who claimed it, by user id; `next` goes into `after`."""

    coupon: Coupon
    claimed_by: tuple[str, ...]
    next: str | None
    hidden: Hidden | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """One unit, and who has it."""

    user_id: str
    created_at: datetime | date | None
    """None where the database does not tell, or tells of a time that is not in Python's calendar."""


class Phases(NamedTuple):
    """Where one attempt spent its time, in seconds; None where the strategy cannot tell."""

    pool_wait: float | None = None
    lock_wait: float | None = None
    execute: float | None = None
    commit: float | None = None


@dataclass(frozen=True, slots=True)
class PoolStats:
    """The client's pool of connections at one moment; times in milliseconds."""

    size: int
    in_use: int
    idle: int
    waiting: int
    """Tasks waiting for a connection: all are lent, or enough claims on their coupon have one."""
    peak_in_use: int
    peak_waiting: int
    acquires: int
    acquire_failures: int
    """Checkouts that gave up waiting."""
    acquire_p50_ms: float | None
    """Over the last minute, and at most its last thousand checkouts; None without any."""
    acquire_p99_ms: float | None


@dataclass(frozen=True, slots=True)
class ServerStats:
    """The server at one moment, as seen by the role that asks."""

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
    """Of the ledger, not of the backends."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One connection of a client, as the server sees it at one moment and the role that asks may know it."""

    pid: int
    application: str
    """What the client calls itself; anything at all."""
    user: str
    """The role; empty for a process of the server itself, which is listed only where it blocks a client."""
    state: str
    """PostgreSQL's word for it, such as `idle in transaction`; empty where hidden."""
    wait: str
    """What it waits for, such as `Lock:transactionid`; empty where it does not wait, or hidden."""
    age: float | None
    """Seconds: of its wait for a lock; without one, of its statement; without one, of its state.

    None where hidden.
    """
    query: str | None
    """How the statement that it works at begins, or the last one that it worked at; None where hidden."""
    blocked_by: tuple[int, ...] = ()
    """Those that it waits for, by pid; 0 stands for a prepared transaction, which has no process."""

    @property
    def own(self) -> bool:
        """Opened by couponctl."""
        return self.application.startswith("couponctl/")

    @property
    def hidden(self) -> bool:
        """The role that asks may not see what it does; pg_read_all_stats would let it."""
        return self.query is None

    @property
    def waits_for_lock(self) -> bool:
        return bool(self.blocked_by) or self.wait.startswith("Lock:")


@dataclass(frozen=True, slots=True)
class Activity:
    """What the server does for one database at one moment."""

    stats: ServerStats
    backends: tuple[Backend, ...]
    """Without the one that looked; first those who block, those who wait, those who work, longest first."""
    truncated: bool
    """There are more backends than are listed."""
    commits: int
    """Transactions since the database's counters began; a backend adds its own about once a second."""
    rollbacks: int
    """The same; a pool that tries a connection out before it lends it rolls back each time."""
    at: float
    """The moment, in seconds of the monotonic clock: two of them make a rate of the counters."""

    @property
    def hidden(self) -> int:
        """Listed backends of which the role that asks may not see what they do."""
        return sum(backend.hidden for backend in self.backends)


@dataclass(frozen=True, slots=True)
class Blocking:
    """One who makes others wait for a lock, or one who waits: a row of a forest, in the order of reading."""

    pid: int
    """0 stands for the prepared transactions."""
    backend: Backend | None
    """None for prepared transactions, and for who has left meanwhile."""
    depth: int
    """0 waits for nobody, and the others for the last row above that is one less deep."""
    below: int | None
    """The pid of that row; a backend that waits for several stands only there."""

    @property
    def circular(self) -> bool:
        """It waits for who waits for it, and stands here because a circle has no beginning."""
        return self.below is None and self.backend is not None and bool(self.backend.blocked_by)


class FindingKind(Labelled):
    """What can be wrong with a ledger."""

    OVERSOLD = "oversold"
    """More claims than units."""
    OVERSTATED_STOCK = "overstated_stock"
    """The counter says more are left than are unclaimed: it will oversell."""
    LOST_STOCK = "lost_stock"
    """The counter says fewer are left than are unclaimed: units that nobody can get."""
    NEGATIVE_STOCK = "negative_stock"
    DUPLICATE_CLAIM = "duplicate_claim"
    ORPHAN_CLAIM = "orphan_claim"
    MISSING_CONSTRAINT = "missing_constraint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the ledger."""

    coupon: str | None
    """None where it concerns the whole database."""
    kind: FindingKind
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The ledger held against the counters, in one snapshot of the database."""

    coupons: int
    claims: int
    findings: tuple[Finding, ...]
    not_told: tuple[str, ...] = ()
    """Rules of the tables of which unknown whether they hold, and why."""
    hidden: Hidden | None = None
    """The role saw a part of the ledger only: what balances needs all of it and was not judged."""

    @property
    def ok(self) -> bool:
        """All was seen, and nothing is wrong."""
        return not self.findings and self.hidden is None

    @property
    def inconclusive(self) -> bool:
        """Nothing is wrong with what was seen, and not all was seen."""
        return not self.findings and self.hidden is not None
