"""What the domain is made of: frozen facts that every floor above may pass around."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Outcome(StrEnum):
    """How one attempt to claim ended; the words are the same in code, CLI, journals and JSON."""

    CLAIMED = "claimed"
    ALREADY_CLAIMED = "already_claimed"
    SOLD_OUT = "sold_out"
    NOT_FOUND = "not_found"
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
    created_at: datetime | None
    """None only in a database of the older shape, where the column is nullable."""

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
class CouponPage:
    """Coupons in the order asked for; `next` goes into `after` for the page behind it."""

    coupons: tuple[Coupon, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Claimants:
    """A coupon with a page of those who claimed it, by user id; `next` goes into `after`."""

    coupon: Coupon
    claimed_by: tuple[str, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """One unit, and who has it."""

    user_id: str
    created_at: datetime | None
    """None only in a database of the older shape, where the column is nullable."""


@dataclass(frozen=True, slots=True)
class Phases:
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
    """Tasks waiting for a connection."""
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


class FindingKind(StrEnum):
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

    @property
    def ok(self) -> bool:
        return not self.findings
