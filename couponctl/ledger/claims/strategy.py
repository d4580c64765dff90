"""The interface of a claim strategy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.models import Outcome, Phases
from couponctl.postgres.database import MAX_PER_COUPON

if TYPE_CHECKING:
    from couponctl.postgres.database import Database

Claimer = Callable[[str, str], Awaitable[tuple[Outcome, Phases]]]
"""(coupon name, user id) -> one of the four answers. Raises Unavailable, Misconfigured, RefusedByDatabase.

However often it is cancelled, it leaves nothing half done and no backend waiting.
"""


@dataclass(frozen=True, slots=True)
class Strategy:
    """How claims are made, on any database."""

    name: str
    on: Callable[[Database], Claimer]
    max_per_coupon: int = MAX_PER_COUPON
    """Maximum number of connections that claims on one coupon use at once."""
