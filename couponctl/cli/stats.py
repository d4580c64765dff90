"""`couponctl stats`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import with_service
from couponctl.present import stats_lines

if TYPE_CHECKING:
    from couponctl.service import CouponService


@click.command("stats")
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@click.option("--interval", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds.")
@common_options
@pass_invocation
def command(invocation: Invocation, watch: bool, interval: float) -> None:
    """Show the pool and the server: connections in use, idle and waiting, backends, lock waits."""

    async def look(service: CouponService) -> None:
        while True:
            server = await service.server_stats()
            pool = service.pool_stats()
            if invocation.json:
                invocation.print_json({"pool": asdict(pool), "server": asdict(server)})
            else:
                for line in stats_lines(pool, server):
                    invocation.print(line)
            if not watch:
                return
            await asyncio.sleep(interval)

    with_service(invocation, "stats", look)
