"""couponctl: the terminal console for people who run flash sales on PostgreSQL, and the service behind it.

For programs:

    from couponctl import open_service

    async with open_service() as service:
        attempt = await service.claim("SPRING", "alice")

What `__all__` names is the API; modules and all other names may change. A name is loaded when it is first
asked for, so that `import couponctl` costs nothing (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from couponctl.errors import (
        AlreadyClaimed,
        BadSettings,
        ClaimNotSeen,
        CouponctlError,
        CouponExists,
        CouponNotFound,
        Guarded,
        Invalid,
        Misconfigured,
        OutcomeUnknown,
        Refused,
        RefusedByDatabase,
        ServiceClosed,
        SoldOut,
        Unavailable,
        Unreachable,
    )
    from couponctl.library import StrategyName, open_service
    from couponctl.models import (
        Activity,
        Audit,
        Backend,
        Claim,
        Claimants,
        Coupon,
        CouponPage,
        Finding,
        FindingKind,
        Hidden,
        Outcome,
        Phases,
        PoolStats,
        ServerStats,
        Sort,
    )
    from couponctl.service import Attempt, CouponService

__version__ = "0.1.0"

__all__ = [
    "Activity",
    "AlreadyClaimed",
    "Attempt",
    "Audit",
    "Backend",
    "BadSettings",
    "Claim",
    "ClaimNotSeen",
    "Claimants",
    "Coupon",
    "CouponExists",
    "CouponNotFound",
    "CouponPage",
    "CouponService",
    "CouponctlError",
    "Finding",
    "FindingKind",
    "Guarded",
    "Hidden",
    "Invalid",
    "Misconfigured",
    "Outcome",
    "OutcomeUnknown",
    "Phases",
    "PoolStats",
    "Refused",
    "RefusedByDatabase",
    "ServerStats",
    "ServiceClosed",
    "SoldOut",
    "Sort",
    "StrategyName",
    "Unavailable",
    "Unreachable",
    "open_service",
]

_HOMES = ("couponctl.models", "couponctl.errors", "couponctl.service", "couponctl.library")
"""Where those names are, the cheapest to load first."""

if not TYPE_CHECKING:  # else mypy would believe that every name is here, however it is spelt

    def __getattr__(name: str) -> object:
        if name in __all__:
            for home in _HOMES:
                if hasattr(module := import_module(home), name):
                    return getattr(module, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
