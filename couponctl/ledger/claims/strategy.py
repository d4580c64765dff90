"""What a way to make claims is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.models import Outcome, Phases
from couponctl.postgres.database import MAX_PER_COUPON

if TYPE_CHECKING:
    from couponctl.postgres.database import Database

Claimer = Callable[[str, str], Awaitable[tuple[Outcome, Phases]]]
"""(coupon name, user id) -> one of the four answers. Raises Unavailable and Misconfigured.

Cancelled, it leaves nothing half done and no backend that waits on, however often it is cancelled.
"""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to make claims, to be had for any database."""

    name: str
    on: Callable[[Database], Claimer]
    max_per_coupon: int = MAX_PER_COUPON
    """Connections in which a few claims on one coupon are under way at once, at most."""
