"""Every drill, in the order in which a person would run them."""

from __future__ import annotations

from typing import Any

from couponctl.drills.drill import Drill
from couponctl.drills.duplicates import DOUBLE_DIP
from couponctl.drills.sale import FLASH_SALE, SCALE

DRILLS: tuple[Drill[Any], ...] = (FLASH_SALE, DOUBLE_DIP, SCALE)
