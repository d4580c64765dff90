"""How fast coupons are claimed, from one reading to the next."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.models import Coupon

_SPAN = 5.0
"""Seconds that a rate covers."""


class Rates:
    """Claims per second of the coupons on the page."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}

    def note(self, coupons: Sequence[Coupon], now: float) -> None:
        """Record a reading taken at `now`, in seconds; coupons that are not in it are forgotten."""
        seen = {coupon.name: self._seen.get(coupon.name, deque()) for coupon in coupons}
        for coupon in coupons:
            readings = seen[coupon.name]
            readings.append((now, coupon.claimed_amount))
            while len(readings) > 2 and readings[1][0] <= now - _SPAN:
                readings.popleft()
        self._seen = seen

    def of(self, name: str) -> float:
        """Return the claims per second over the last seconds; 0 before the second reading."""
        readings = self._seen.get(name)
        if not readings or len(readings) < 2:
            return 0.0
        (first_at, first), (last_at, last) = readings[0], readings[-1]
        return max(0, last - first) / (last_at - first_at) if last_at > first_at else 0.0


def rate_words(rate: float) -> str:
    if rate == 0:
        return "0"
    return f"{rate:.1f}" if rate < 10 else f"{rate:,.0f}"
