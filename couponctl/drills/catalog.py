"""Every drill, in the order in which a person would run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from couponctl.drills.duplicates import DOUBLE_DIP
from couponctl.drills.sale import FLASH_SALE, SCALE

if TYPE_CHECKING:
    from couponctl.drills.drill import Drill

DRILLS: tuple[Drill[Any], ...] = (FLASH_SALE, DOUBLE_DIP, SCALE)
