"""`couponctl stats`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from couponctl.cli.documents import sight
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import with_service
from couponctl.errors import Unavailable
from couponctl.present import blocking_line, hidden_line, stats_lines

if TYPE_CHECKING:
    from couponctl.models import Activity, PoolStats
    from couponctl.service import CouponService


@click.command("stats")
@click.option("--watch", is_flag=True, help="Repeat until Ctrl-C; reconnect when a lost server is back.")
@click.option("--interval", type=click.FloatRange(0.1), default=1.0, show_default=True, help="Seconds.")
@common_options
@pass_invocation
def command(invocation: Invocation, watch: bool, interval: float) -> None:
    """Show the pool and the server: connections in use, idle and waiting, backends, lock waits."""

    async def look(service: CouponService) -> None:
        activity = await service.activity()
        invocation.say_how_far(activity.stats.hidden)
        _show(invocation, activity, service.pool_stats())
        stale = ""
        while watch:
            await asyncio.sleep(interval)
            try:
                activity = await service.activity()
            except Unavailable as exc:
                if exc.message != stale:
                    stale = exc.message
                    invocation.say(f"couponctl: stale: {stale}")
            else:
                stale = ""
                _show(invocation, activity, service.pool_stats())

    with_service(invocation, "stats", look)


def _show(invocation: Invocation, activity: Activity, pool: PoolStats) -> None:
    from couponctl.postgres.activity import blocking_chains  # noqa: PLC0415 - it imports SQLAlchemy

    blocking = blocking_chains(activity.backends)
    if invocation.json:
        invocation.print_json(
            {
                "pool": asdict(pool),
                "server": asdict(activity.stats),
                "blocking": [asdict(row) for row in blocking],
                "hidden": activity.hidden,
                **sight(activity.stats.hidden),
            }
        )
        return
    for line in stats_lines(pool, activity.stats):
        invocation.print(line)
    for row in blocking:
        invocation.print(blocking_line(row))
    if activity.hidden:
        invocation.print(hidden_line(activity.hidden))
