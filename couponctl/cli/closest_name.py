"""Names of coupons that the operator may mean: for completion, and if a name is not found."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from couponctl.errors import CouponctlError, CouponMisnamed, CouponNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.service import CouponService

_PAGE, _PAGES = 1000, 10
"""Pages of names, and their maximum number: neither a Tab nor an error must take long."""


async def read_names(service: CouponService, matching: str) -> AsyncIterator[str]:
    """Yield the first ten thousand names that contain `matching`, ignoring case."""
    after = None
    for _ in range(_PAGES):
        page = await service.list(matching=matching, limit=_PAGE, after=after)
        for coupon in page.coupons:
            yield coupon.name
        after = page.next
        if after is None:
            break


async def with_closest_name(service: CouponService, error: CouponNotFound) -> CouponNotFound:
    """Return an error that names the coupon that was probably meant; `error` itself if none is similar."""
    if type(error) is not CouponNotFound:  # a subclass already says why
        return error
    folded = error.name.casefold()
    with suppress(CouponctlError):
        for matching in (error.name, ""):
            names = {name.casefold(): name async for name in read_names(service, matching)}
            if close := get_close_matches(folded, names, n=1):
                return CouponMisnamed(error.name, names[close[0]])
    return error
