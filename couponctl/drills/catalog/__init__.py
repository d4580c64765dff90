"""All drills, in the order in which to run them: the sale first, then what may go wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.drills.catalog.breakage import CANCELLATION, CONNECTION_DROP, DEADLOCK, PARTIAL_FAILURE
from couponctl.drills.catalog.duplicates import DOUBLE_DIP, VIOLATION_STORM
from couponctl.drills.catalog.exhaustion import POOL_EXHAUSTION, QUERY_TIMEOUT
from couponctl.drills.catalog.input_boundary import INPUT_BOUNDARY
from couponctl.drills.catalog.mixed import INTERLEAVE, LEAK_CHECK, MIXED_LOAD
from couponctl.drills.catalog.sale import FLASH_SALE, OVERSELL_GUARD, SCALE, STAMPEDE

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill

DRILLS: tuple[Drill[Any], ...] = (
    FLASH_SALE,
    DOUBLE_DIP,
    SCALE,
    STAMPEDE,
    VIOLATION_STORM,
    OVERSELL_GUARD,
    INTERLEAVE,
    MIXED_LOAD,
    INPUT_BOUNDARY,
    POOL_EXHAUSTION,
    QUERY_TIMEOUT,
    CONNECTION_DROP,
    PARTIAL_FAILURE,
    DEADLOCK,
    CANCELLATION,
    LEAK_CHECK,
)
