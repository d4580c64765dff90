"""Refusals: by the sale, and by the database."""

from __future__ import annotations

from dataclasses import dataclass

from couponctl.errors.base import CouponctlError
from couponctl.models import Outcome


class Refused(CouponctlError):
    """A claim, or the creation of a coupon, was refused."""


@dataclass(eq=False)
class CouponNotFound(Refused):
    """There is no coupon "{name}".

    `couponctl list` shows what there is; `couponctl create NAME AMOUNT` makes one.
    """

    outcome = Outcome.NOT_FOUND
    name: str


@dataclass(eq=False)
class CouponMisnamed(CouponNotFound):
    """There is no coupon "{name}".

    Did you mean "{closest}"? `couponctl list` shows what there is.
    """

    closest: str


@dataclass(eq=False)
class CouponNotSeen(CouponNotFound):
    """There is no coupon "{name}" as far as role {role} may see.

    Row-level security hides coupons from it; the owner of the tables, or a role with BYPASSRLS, sees all.
    """

    role: str


@dataclass(eq=False)
class ClaimNotSeen(Refused):
    """ "{user_id}" has not claimed "{name}" as far as role {role} may see.

    Row-level security hides claims from it; the owner of the tables, or a role with BYPASSRLS, sees all.
    """

    code = "claim_not_seen"
    status = 404
    name: str
    user_id: str
    role: str


@dataclass(eq=False)
class CouponExists(Refused):
    """A coupon "{name}" exists already.

    `couponctl show NAME` shows it; choose another name for a new one.
    """

    code = "exists"
    status = 409
    name: str


@dataclass(eq=False)
class SoldOut(Refused):
    """ "{name}" is sold out: "{user_id}" got none.

    `couponctl show NAME` lists the users who have one.
    """

    outcome = Outcome.SOLD_OUT
    name: str
    user_id: str


@dataclass(eq=False)
class AlreadyClaimed(Refused):
    """ "{user_id}" has claimed "{name}" already.

    One claim per user: nothing was taken from the stock this time.
    """

    outcome = Outcome.ALREADY_CLAIMED
    name: str
    user_id: str


@dataclass(eq=False)
class RefusedByDatabase(CouponctlError):
    """The database refused {what}: {reason}.

    Nothing was written.
    """

    outcome = Outcome.REFUSED
    reason: str
    what: str = "this"


@dataclass(eq=False)
class KeyTaken(RefusedByDatabase):
    """The database refused {what}: {reason}.

    The key {key} takes it once only; nothing was written.
    """

    key: str = ""
    """The name of the constraint or index."""
