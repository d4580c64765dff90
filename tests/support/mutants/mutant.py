"""What a mutant is."""

from __future__ import annotations

from dataclasses import dataclass

from couponctl.ledger.claims import STATEMENT, Strategy
from couponctl.service import CouponService


@dataclass(frozen=True)
class Mutant:
    """A wrong way to claim, or a wrong service around a right one."""

    name: str
    strategy: Strategy = STATEMENT
    service_class: type[CouponService] = CouponService
