"""`couponctl tui`."""

from __future__ import annotations

import os
import sys

import click

from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import settings_of
from couponctl.cli.running import run
from couponctl.errors import Invalid


@click.command("tui")
@click.option(
    "--refresh-hz",
    type=click.FloatRange(0.5, 20),
    default=4.0,
    show_default=True,
    help="Frames per second; fewer on a slow line.",
)
@common_options
@pass_invocation
def command(invocation: Invocation, refresh_hz: float) -> int:
    """Open the console: coupons, drills, the pool and saved runs, live.

    Press ? in it for its keys, q to leave. TEXTUAL_THEME names a theme to start with. With COUPONCTL_LOG it
    logs to couponctl.log in your state directory, unless --log-file names another file.
    """
    if invocation.json:
        raise click.UsageError("the console has no --json; `couponctl stats --watch --json` has")
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        raise Invalid("tui", "needs a terminal; `couponctl list` and `couponctl stats --watch` do without")
    if os.environ.get("TERM", "dumb") in {"dumb", ""}:
        raise Invalid("tui", "needs a terminal that can place its cursor, and TERM says that this one cannot")
    settings = settings_of(invocation)
    from couponctl.server import server_for  # noqa: PLC0415 - loaded only once the console opens
    from couponctl.tui.console_main import run_console  # noqa: PLC0415

    prefix = [
        word
        for name in ("url", "context")
        if (given := getattr(invocation, name))
        for word in (f"--{name}", given)
    ]
    with server_for(settings) as server:
        code = run(invocation, run_console(settings, server, prefix, refresh_hz))
    if invocation.log is not None and invocation.log_file is None:
        invocation.say(f"couponctl: the log is in {invocation.log.path}")
    return code
