"""Runs the console on a server, according to the settings."""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from couponctl.drills.engine import Target
from couponctl.drills.reports.store import RunStore, default_directory
from couponctl.logs.log_file import open_file
from couponctl.postgres.activity import open_watch
from couponctl.present import without_home
from couponctl.sandbox.schema import leftovers, remove_all
from couponctl.server import kept_up
from couponctl.service import service_on
from couponctl.tui.app import CouponApp
from couponctl.tui.dependencies import Dependencies
from couponctl.tui.drill_process import DrillProcess, Order
from couponctl.tui.drill_runner import DrillRunner
from couponctl.tui.events import EventLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from couponctl.drills.drill import DrillSpec
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.sandbox.schema import Leftover
    from couponctl.settings import Settings

_CONNECTIONS = 4
"""Maximum size of the console's own pool: it sits next to production all day."""


@dataclass(frozen=True, slots=True)
class ServerLeftovers:
    """The schemas that drills left on the server, accessed through the console's own pool."""

    database: Database

    async def find(self) -> tuple[Leftover, ...]:
        return await leftovers(self.database)

    async def remove(self, found: Sequence[Leftover]) -> None:
        await remove_all(self.database, found)


@asynccontextmanager
async def open_dependencies(
    settings: Settings, server: Server, prefix: Sequence[str]
) -> AsyncIterator[Dependencies]:
    """Open the console's dependencies on a server; a drill that still runs on exit is aborted.

    `prefix` names the database in the command lines of the event log.
    """

    def launch(spec: DrillSpec[Any]) -> DrillProcess:
        with kept_up(settings) as descriptors:
            return DrillProcess(Order(spec, Target(server, settings.limits)), descriptors)

    runner = DrillRunner(launch)
    own = replace(settings.limits, pool_size=min(_CONNECTIONS, settings.limits.pool_size))
    async with (
        service_on(replace(settings, limits=own), server, application="couponctl/tui") as service,
        open_watch(server, settings.limits) as watch,
    ):
        try:
            yield Dependencies(
                settings=settings,
                client=service,
                look_at_server=watch.look,
                leftovers=ServerLeftovers(service.database),
                runs=RunStore(default_directory()),
                runner=runner,
                events=EventLog(datetime.now, tuple(prefix)),
            )
        finally:
            runner.end()


async def run_console(settings: Settings, server: Server, prefix: Sequence[str], refresh_hz: float) -> int:
    """Run the console until the operator leaves; return the exit code. Raises the error that ended it."""
    # What is loaded by now stays: each garbage collection of it would block the console for 50 ms.
    gc.freeze()
    async with open_dependencies(settings, server, prefix) as dependencies:
        if (log := open_file()) is not None:
            dependencies.events.add(f"log: {without_home(str(log.path))}")
        return await CouponApp(dependencies, refresh_hz=refresh_hz).run_to_the_end()
