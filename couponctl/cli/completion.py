"""Completion of coupon names in the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.cli.invocation import Invocation
from couponctl.cli.opened import with_service
from couponctl.errors import CouponctlError
from couponctl.present import safe

if TYPE_CHECKING:
    import click

_MOST = 50


def coupon_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names that begin with what was typed; none rather than a complaint when the database is away."""
    invocation = context.find_object(Invocation) or Invocation()
    try:
        page = with_service(
            invocation, "completion", lambda service: service.list(matching=incomplete, limit=_MOST)
        )
    except CouponctlError:
        return []
    names = (coupon.name for coupon in page.coupons)
    # A shell would run what a hostile name smuggles in, so only plainly printable ones are offered.
    return [name for name in names if name.startswith(incomplete) and safe(name) == name]
