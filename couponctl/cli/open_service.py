"""Opens a database or the service as a command's options say, and closes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from couponctl import settings as settings_module
from couponctl.cli.closest_name import with_closest_name
from couponctl.cli.running import run
from couponctl.errors import CouponNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from couponctl.cli.invocation import Invocation
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.service import CouponService
    from couponctl.settings import Settings

T = TypeVar("T")


def settings_of(invocation: Invocation) -> Settings:
    """Load the settings: where the database is, by options, environment and config file.

    If a password file exists and cannot be used, this is reported, as by libpq.
    """
    settings = settings_module.load(url=invocation.url, context=invocation.context)
    if why := settings_module.passfile_complaint(settings):
        invocation.say_once(f"couponctl: {why}")
    return settings


def with_service(
    invocation: Invocation, command: str, use: Callable[[CouponService], Coroutine[Any, Any, T]]
) -> T:
    """Open the service, let `use` work with it, close it. Raises whatever the service raises.

    A CouponNotFound names the coupon that was probably meant.
    """
    # SQLAlchemy and the driver take a quarter of a second to import: only commands that need them pay.
    from couponctl.service import service_on  # noqa: PLC0415

    async def work(settings: Settings, server: Server) -> T:
        async with service_on(settings, server, application=f"couponctl/{command}") as service:
            try:
                return await use(service)
            except CouponNotFound as error:
                raise await with_closest_name(service, error) from None

    return _on_server(invocation, work)


def with_database(
    invocation: Invocation, command: str, use: Callable[[Database], Coroutine[Any, Any, T]]
) -> T:
    """The same for a database, below the service; no tables are needed or created."""
    from couponctl.postgres.database import open_database  # noqa: PLC0415

    async def work(settings: Settings, server: Server) -> T:
        async with open_database(server, settings.limits, application=f"couponctl/{command}") as database:
            return await use(database)

    return _on_server(invocation, work)


def _on_server(invocation: Invocation, work: Callable[[Settings, Server], Coroutine[Any, Any, T]]) -> T:
    from couponctl.server import server_for  # noqa: PLC0415

    settings = settings_of(invocation)
    with server_for(settings) as server:
        return run(invocation, work(settings, server))
