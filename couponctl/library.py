"""The library door: what a program calls to get a `CouponService`, in one call.

It decides, reads and starts what the command line decides, reads and starts, but in a thread: the caller's
event loop goes on meanwhile. Programs import it as `from couponctl import open_service`.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from couponctl import settings as settings_module
from couponctl.aio.cancellation import shielded
from couponctl.errors import BadSettings
from couponctl.ledger.claims import STRATEGIES, find_strategy
from couponctl.logs import ROOT, logger
from couponctl.postgres.libpq import Server, whole_number
from couponctl.server import server_for
from couponctl.service import service_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.ledger.claims import Strategy
    from couponctl.service import CouponService
    from couponctl.settings import Settings

StrategyName = Literal["statement", "transaction", "batched"]
"""How claims are made: all promise the same, and differ in speed."""

_log = logger(ROOT)


@asynccontextmanager
async def open_service(
    url: str | None = None,
    *,
    context: str | None = None,
    strategy: StrategyName = "statement",
    application: str = "library",
    pool_size: int | None = None,
) -> AsyncIterator[CouponService]:
    """Open a service over a connection pool of its own, for the event loop that runs; closed on exit.

    `url` names the database, as psql writes it: `postgresql://user:password@host:5432/database`. Unlike
    the command line's, it may hold a password. `context` names a table of config.toml instead. With neither
    of them COUPONCTL_URL, COUPONCTL_CONTEXT or the PG* variables name it, in this order, and without these
    it is the private server, which is started and stays up until the last service or command on it ends.

    `strategy` says how claims are made: "statement", "transaction", or "batched", which is the fastest
    when many users want one coupon. `application` is what pg_stat_activity shows after `couponctl/`, 1 to
    50 characters of ASCII. `pool_size` is the maximum number of connections, 1 to 1000; if it is None,
    COUPONCTL_POOL_SIZE, the context or the default of 10 decides.

    Only the private server is connected to at once, and gets its tables. Any other one is connected to by
    the first call that needs it: while it is down claims get the outcome UNAVAILABLE, and afterwards they
    work again. On exit, work that has a connection ends undisturbed, and calls that come later are refused
    with ServiceClosed; the private server waits for neither.

    Raises BadSettings if an argument, a variable or a file is wrong, and Unreachable if the private server
    does not start within 60 s. Cancelled while that starts, it ends as soon as the start has.
    """
    chosen, name = _strategy(strategy), _application(application)
    with ExitStack() as held:

        def start() -> tuple[Settings, Server]:
            settings = _settings(url, context, pool_size)
            return settings, held.enter_context(server_for(settings))

        settings, server = await shielded(asyncio.to_thread(start))
        async with service_on(settings, server, application=name, strategy=chosen) as service:
            yield service


def _settings(url: str | None, context: str | None, pool_size: int | None) -> Settings:
    settings = settings_module.load(url=url, context=context, flags=False)
    if why := settings_module.passfile_complaint(settings):
        _log.warning("%s", why)
    if pool_size is None:
        return settings
    size = whole_number(pool_size, "pool_size", settings_module.MAX_POOL_SIZE)
    return replace(settings, limits=replace(settings.limits, pool_size=size))


def _strategy(name: str) -> Strategy:
    names = [strategy.name for strategy in STRATEGIES]
    if name not in names:
        raise BadSettings(f'there is no strategy "{name}"', f"Choose one of {', '.join(names)}.")
    return find_strategy(name)


def _application(name: str) -> str:
    # PostgreSQL cuts an application_name after 63 bytes, and spells out what is not ASCII.
    if not re.fullmatch("[ -~]{1,50}", name):
        raise BadSettings("application must be 1 to 50 characters of ASCII", "Shorten or spell it so.")
    return f"couponctl/{name}"
