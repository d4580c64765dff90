"""Completion of coupon names and of saved runs in the shell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from couponctl import embedded
from couponctl.cli.closest_name import read_names
from couponctl.cli.invocation import Invocation
from couponctl.cli.open_service import settings_of, with_service
from couponctl.errors import CouponctlError
from couponctl.present import safe
from couponctl.settings import Embedded

if TYPE_CHECKING:
    import click

    from couponctl.service import CouponService

_MOST = 50
_HARMLESS = re.compile(r"\w[\w.:@%+=,/-]*")
"""What a shell takes literally: bash would run `$(...)` in a completed name."""


def coupon_names(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return names that begin with the input; none, instead of an error, if the database is unavailable."""
    invocation = context.find_object(Invocation) or Invocation()

    async def look(service: CouponService) -> list[str]:
        names: list[str] = []
        async for name in read_names(service, incomplete):
            if _offers(name, incomplete):
                names.append(name)
            if len(names) == _MOST:
                break
        return names

    try:
        return [] if _is_yet_to_be_made(invocation) else with_service(invocation, "completion", look)
    except CouponctlError:
        return []


def run_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return `last` and the ids of saved runs, newest first, if they begin with the input."""
    from couponctl.drills.reports.store import RunStore, default_directory  # noqa: PLC0415 - it loads SQLAlchemy

    try:
        names = ("last", *RunStore(default_directory()).run_ids())
    except CouponctlError:
        return []
    return [name for name in names if name.startswith(incomplete)][:_MOST]


def _offers(name: str, incomplete: str) -> bool:
    return name.startswith(incomplete) and _HARMLESS.fullmatch(name) is not None and safe(name) == name


def _is_yet_to_be_made(invocation: Invocation) -> bool:
    """Whether a query would create an embedded database, which is more than a Tab should do."""
    target = settings_of(invocation).target
    return (
        isinstance(target, Embedded)
        and not embedded.status(target.base or embedded.default_base()).initialised
    )
