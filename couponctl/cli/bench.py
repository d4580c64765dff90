"""`couponctl bench`."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from couponctl.aio.event_loop import loop_for_load
from couponctl.bench.closed import Closed
from couponctl.bench.load import Load
from couponctl.bench.open import Open
from couponctl.bench.pgbench import is_installed
from couponctl.bench.sandbox import bench_sandbox, connections_of
from couponctl.cli.consent import ask, consent_options
from couponctl.cli.exit_codes import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import settings_of
from couponctl.cli.outputs import outputs_of
from couponctl.cli.running import run
from couponctl.cli.unlogged import unlogged_option
from couponctl.drills.reports.text import UNLOGGED
from couponctl.ledger.claims import STRATEGIES
from couponctl.sandbox.schema import OnServer
from couponctl.server import server_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.bench.result import Result
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.settings import Settings

_NAMES = tuple(strategy.name for strategy in STRATEGIES)

_OF_CLOSED_ONLY = ("in_flight", "rounds", "pgbench")


def _numbers(_context: click.Context, _option: click.Parameter, given: str) -> tuple[int, ...]:
    words = given.split(",")
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 10_000 for word in words):
        raise click.BadParameter(f"{given!r} is not a list of numbers from 1 to 10000, such as 1,50,500")
    return tuple(dict.fromkeys(int(word) for word in words))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """The options of the bench."""

    strategy: tuple[str, ...]
    in_flight: tuple[int, ...]
    coupons: tuple[int, ...]
    seconds: float
    rounds: int
    pgbench: bool
    rate: float | None
    seed: int | None
    markdown: str | None
    unlogged: bool
    yes: bool
    confirm: str | None

    def course(self) -> Closed | Open:
        strategies = tuple(dict.fromkeys(self.strategy)) or _NAMES
        if self.rate is None:
            pgbench = self.pgbench and is_installed()
            return Closed(strategies, self.in_flight, self.coupons, self.seconds, self.rounds, pgbench)
        seed = secrets.randbelow(2**32) if self.seed is None else self.seed
        return Open(strategies, self.coupons, Load(self.rate, self.seconds, seed))


@click.command("bench")
@click.option(
    "--strategy", multiple=True, type=click.Choice(_NAMES), help="Measure this strategy; may be repeated."
)
@click.option(
    "--in-flight",
    default="1,50,500",
    show_default=True,
    metavar="N,…",
    callback=_numbers,
    help="Claims in flight.",
)
@click.option(
    "--coupons",
    default="1",
    show_default=True,
    metavar="N,…",
    callback=_numbers,
    help="Number of coupons that the claims are for.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.5, 600),
    default=2.0,
    show_default=True,
    help="Duration of one measurement.",
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Rounds of all measurements."
)
@click.option("--pgbench/--no-pgbench", default=True, help="Measure pgbench too, if it is installed.")
@click.option(
    "--rate", type=click.FloatRange(1, 1_000_000), help="Users per second, who do not wait for each other."
)
@click.option("--seed", type=click.IntRange(min=0), help="Repeat the random arrivals of --rate.")
@click.option(
    "--markdown", type=click.Path(allow_dash=True), metavar="FILE", help="Write the table; - is stdout."
)
@unlogged_option
@consent_options
@common_options
@pass_invocation
@click.pass_context
def command(context: click.Context, invocation: Invocation, /, **given: Any) -> ExitCode:
    """Measure the strategies side by side, with pgbench as the baseline.

    Without --rate (closed loop) a fixed number of claims is in flight, each followed by the next. With
    --rate (open loop) users arrive whether or not earlier ones have an answer, and latency counts from
    their arrival.

    It works in a schema of its own, which it drops however it ends, and loads the server
    fully. The ledger is read after every measurement: wrong claims end the bench with exit code 20.
    """
    wishes = _Wishes(**given)
    _check_together(context, wishes)
    outputs = outputs_of(invocation, {"markdown": wishes.markdown})
    settings = settings_of(invocation)
    course = wishes.course()
    if isinstance(course, Closed) and wishes.pgbench and not course.pgbench:
        invocation.say("couponctl: pgbench is not installed, so there is no baseline")
    ask(invocation, settings, _plan(course, settings.limits, wishes), yes=wishes.yes, confirm=wishes.confirm)
    result = _carry_out(invocation, settings, course, wishes)
    for output in outputs:
        output.write(result.markdown())
    if invocation.json:
        invocation.print_json(result.document)
    elif not any(output.to_stdout for output in outputs):
        invocation.print_lines(result.table.lines())
    for warning in result.warnings:
        invocation.say(f"couponctl: {warning}")
    return ExitCode.OK


def _check_together(context: click.Context, wishes: _Wishes) -> None:
    if wishes.rate is None:
        if wishes.seed is not None:
            raise click.UsageError("--seed is for --rate")
        return
    for name in _OF_CLOSED_ONLY:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} and --rate do not go together")


def _plan(course: Closed | Open, limits: Limits, wishes: _Wishes) -> Iterator[str]:
    connections = connections_of(limits, course.clients)
    yield "bench: create a schema couponctl_drill_…, and drop it afterwards"
    yield f"bench: open up to {connections} connections for about {course.duration:.0f} s"
    yield f"bench: {course.words}"
    if wishes.unlogged:
        yield f"bench: {UNLOGGED}"


def _carry_out(invocation: Invocation, settings: Settings, course: Closed | Open, wishes: _Wishes) -> Result:
    on_server = OnServer()

    def told(line: str) -> None:
        if sys.stderr.isatty():
            invocation.say(line)

    async def work(server: Server) -> Result:
        limits, unlogged = settings.limits, wishes.unlogged
        async with bench_sandbox(server, limits, course.clients, on_server, unlogged=unlogged) as place:
            result = await course.run(place, told)
        return result.on_unlogged_tables() if unlogged else result

    with server_for(settings) as server:
        return run(invocation, work(server), left_behind=lambda: on_server.schema, loop=loop_for_load)
