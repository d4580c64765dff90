"""`couponctl db`: the tables, and the embedded server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from couponctl import embedded
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import settings_of, with_database
from couponctl.errors import BadSettings, Guarded
from couponctl.guards import may_write
from couponctl.present import safe
from couponctl.server import kept_up, server_for
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from pathlib import Path

_EMBEDDED_DATABASE = "couponctl"


@click.group("db")
@common_options
def command() -> None:
    """Create the tables; run the private PostgreSQL that couponctl uses when no database is named."""


@command.command("init")
@click.option("--schema", metavar="NAME", help="Create them in this schema, even if another one has some.")
@common_options
@pass_invocation
def init(invocation: Invocation, schema: str | None) -> None:
    """Create missing tables; existing ones stay as they are.

    Where another schema has the tables already, a second pair is created only in a schema that is named.
    """
    from couponctl.ledger.setup import set_up  # noqa: PLC0415 - only this needs SQLAlchemy

    may_write(settings_of(invocation))
    applied = with_database(invocation, "db-init", partial(set_up, schema=schema))
    if invocation.json:
        invocation.print_json(asdict(applied))
        return
    for table in applied.created:
        invocation.print(f"created table {table}")
    for table in applied.found:
        invocation.print(f"table {table} exists already and was left as it is")


@command.command("start")
@common_options
@pass_invocation
def start(invocation: Invocation) -> None:
    """Start the embedded server and keep it running until `db stop`."""
    base = _embedded_base(invocation)
    started = embedded.start(base)
    if invocation.json:
        invocation.print_json({"started": started, "url": embedded.status(base).url})
    else:
        invocation.print("started; it runs until `couponctl db stop`" if started else "is already running")


@command.command("stop")
@click.option(
    "--now", is_flag=True, help="Stop it even while other commands use it: they lose their connections."
)
@common_options
@pass_invocation
def stop(invocation: Invocation, now: bool) -> None:
    """Stop the embedded server, or let it stop after its last command."""
    stopped = embedded.stop(_embedded_base(invocation), now=now)
    if invocation.json:
        invocation.print_json({"stopped": stopped.value})
    else:
        invocation.print(
            {
                embedded.Stopped.STOPPED: "stopped",
                embedded.Stopped.WAS_NOT_RUNNING: "was not running",
                embedded.Stopped.IN_USE: "in use: stops after its last command, or now with `db stop --now`",
            }[stopped]
        )


@command.command("status")
@common_options
@pass_invocation
def status(invocation: Invocation) -> None:
    """Say where the database is, and whether the embedded server runs."""
    settings = settings_of(invocation)
    if not isinstance(settings.target, Embedded):
        server = settings.target
        if invocation.json:
            invocation.print_json({"embedded": False, "where": server.where, "source": server.source})
        else:
            invocation.print(f"{safe(server.where)} (from {safe(server.source)})")
        return
    state = embedded.status(_embedded_base(invocation))
    if invocation.json:
        document = {**asdict(state), "base": str(state.base), "log": str(state.log)}
        invocation.print_json({"embedded": True, **document})
        return
    running = f"runs, process {state.pid}" if state.running else "is not running"
    kept = ", until `couponctl db stop`" if state.kept else ""
    invocation.print(f"embedded PostgreSQL {state.version} {running}{kept}".replace("  ", " "))
    invocation.print(f"data in {safe(str(state.base))}, log in {safe(str(state.log))}")


@command.command("url")
@common_options
@pass_invocation
def url(invocation: Invocation) -> None:
    """Print the database's URL, for other programs; there is never a password in it."""
    settings = settings_of(invocation)
    target = settings.target
    address = (
        embedded.status(_embedded_base(invocation)).url if isinstance(target, Embedded) else target.public_url
    )
    if invocation.json:
        invocation.print_json({"url": address})
    else:
        invocation.print(safe(address))


@command.command("psql", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL ARGUMENT]...")
@common_options
@pass_invocation
def psql(invocation: Invocation, arguments: tuple[str, ...]) -> int:
    """Open psql on the database."""
    settings = settings_of(invocation)
    program = embedded.binary("psql")
    read_only = {"PGOPTIONS": "-c default_transaction_read_only=on"} if settings.read_only else {}
    with server_for(settings) as server, kept_up(settings) as descriptors:
        # Ctrl-C in psql ends a query, not the session: it must not end this process, which holds the server.
        signal.signal(signal.SIGINT, lambda *_: None)
        # The password travels in the environment: `ps` shows the arguments to everyone.
        return subprocess.run(
            [program, *arguments],
            env={**os.environ, **server.libpq_environment, **read_only},
            pass_fds=descriptors,
            check=False,
        ).returncode


@command.command("reset")
@click.option("--confirm", metavar="DATABASE", help="Confirm by the name of the database.")
@common_options
@pass_invocation
def reset(invocation: Invocation, confirm: str | None) -> None:
    """Delete the embedded server with all its coupons and claims, for good."""
    base = _embedded_base(invocation)
    may_write(settings_of(invocation))
    if confirm is None and sys.stdin.isatty():
        invocation.say(f"This deletes {base} with every coupon and claim in it, for good.")
        confirm = click.prompt(f"Type {_EMBEDDED_DATABASE} to continue", err=True)
    if confirm != _EMBEDDED_DATABASE:
        raise Guarded(
            f"confirmation required to delete {base}", f"To confirm: --confirm {_EMBEDDED_DATABASE}"
        )
    embedded.reset(base)
    if invocation.json:
        invocation.print_json({"deleted": str(base)})
    else:
        invocation.print(f"deleted {safe(str(base))}")


def _embedded_base(invocation: Invocation) -> Path:
    """Return the embedded server's directory. Raises BadSettings if the settings name another server."""
    target = settings_of(invocation).target
    if not isinstance(target, Embedded):
        raise BadSettings(
            f"{target.where} (from {target.source}) is not couponctl's to start, stop or delete",
            "Without --url, --context and PG* variables the command means the embedded server.",
        )
    return target.base or embedded.default_base()
