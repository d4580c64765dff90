"""`couponctl drill`: a command for each drill of the catalog, and all, list and clean."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from couponctl import embedded
from couponctl.aio.event_loop import loop_for_load
from couponctl.aio.signals import Interrupted
from couponctl.cli.consent import ask, consent_options
from couponctl.cli.documents import drill_document
from couponctl.cli.exit_codes import ExitCode, exit_code_for
from couponctl.cli.invocation import Invocation, common_options, error_document, pass_invocation
from couponctl.cli.open_service import settings_of, with_database
from couponctl.cli.outputs import Output, output_options, outputs_of, write_all
from couponctl.cli.running import run
from couponctl.cli.save_runs import RunSaver
from couponctl.cli.unlogged import unlogged_option
from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.plan import Plan
from couponctl.drills.progress import Progress
from couponctl.drills.reports.conclusion import aborted_words
from couponctl.drills.reports.report import SCHEMA_VERSION, worst
from couponctl.drills.reports.slo import parse
from couponctl.drills.reports.slo_check import held_to
from couponctl.drills.reports.text import (
    catalog_lines,
    progress_words,
    report_lines,
    score_line,
    scorecard_lines,
)
from couponctl.errors import CouponctlError
from couponctl.guards import consent_for
from couponctl.ledger.claims import STRATEGIES, find_strategy
from couponctl.sandbox.preflight import inspect
from couponctl.sandbox.schema import leftovers, remove_all
from couponctl.server import server_for
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from couponctl.drills.drill import Drill, Parameter
    from couponctl.drills.reports.report import Report
    from couponctl.drills.reports.slo import Objective
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.sandbox.preflight import Preflight
    from couponctl.settings import Settings

EndedEarly = CouponctlError | Interrupted | None
"""What ended a command before all of its drills; None if nothing did."""

_REFRESH = 0.1
"""Seconds between two looks at a running drill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of every command that runs drills."""

    strategy: str
    seed: int | None
    slo: tuple[Objective, ...]
    dry_run: bool
    unlogged: bool
    junit: str | None
    markdown: str | None
    journal: str | None
    yes: bool
    confirm: str | None

    def plan(self, drills: Sequence[tuple[Drill[Any], Mapping[str, float]]], limits: Limits) -> Plan:
        strategy = find_strategy(self.strategy)
        specs = [drill.spec(limits, given, strategy=strategy, seed=self.seed) for drill, given in drills]
        return Plan(tuple(specs), self.unlogged)

    def outputs(self, invocation: Invocation) -> tuple[Output, ...]:
        paths = {"junit": self.junit, "markdown": self.markdown, "journal": self.journal}
        return outputs_of(invocation, paths)


_WISHES = {each.name for each in fields(Wishes)}


@click.group("drill")
@common_options
def command() -> None:
    """Run load and fault tests against the claim path of the database.

    Every drill works in a schema of its own, which it drops however it ends; your coupons and claims are
    neither read nor written. Exit code 0 is PASS, 20 FAIL, 22 INCONCLUSIVE, 21 PASS with a service level
    missed.
    """


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that runs drills."""
    names = [strategy.name for strategy in STRATEGIES]
    for option in (
        common_options,
        consent_options,
        click.option(
            "--dry-run", is_flag=True, help="Check the server and say what the drill would do; do nothing."
        ),
        unlogged_option,
        output_options,
        click.option(
            "--slo",
            multiple=True,
            metavar="EXPR",
            callback=lambda _context, _option, given: tuple(map(parse, given)),
            help="Require a service level, such as claimed.p99<250ms or errors=0; may be repeated.",
        ),
        click.option("--strategy", type=click.Choice(names), default=names[0], show_default=True),
        click.option("--seed", type=click.IntRange(min=0), help="Repeat the random choices of a run."),
    ):
        function = option(function)
    return function


def _command_for(drill: Drill[Any]) -> click.Command:
    @_with_options
    @pass_invocation
    def run_it(invocation: Invocation, /, **given: Any) -> ExitCode:
        wishes = Wishes(**{name: given.pop(name) for name in _WISHES})
        parameters = {name: value for name, value in given.items() if value is not None}

        def show(reports: Sequence[Report], _broken_off: EndedEarly) -> None:
            if invocation.json:
                invocation.print_json(reports[0].as_json())
            else:
                invocation.print_lines(report_lines(reports[0]))

        return _carry_out(invocation, [(drill, parameters)], wishes, show)

    sentences = (drill.title, f"Expectation: {drill.promise}", f"Blast radius: {drill.blast_radius}")
    text = "\n\n".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
    made = click.command(drill.name, help=text, short_help=drill.title)(run_it)
    made.params = [*map(_option_for, drill.parameters.described()), *made.params]
    return made


def _option_for(parameter: Parameter) -> click.Option:
    whole = parameter.kind is int
    least, most = parameter.at_least, parameter.at_most
    kind = click.IntRange(int(least), int(most)) if whole else _Seconds(least, most)
    default = "" if parameter.default is None else f"  [default: {parameter.default:g}]"
    meaning = f"{parameter.meaning[0].upper()}{parameter.meaning[1:]}.{default}"
    return click.Option([f"--{parameter.name.replace('_', '-')}"], type=kind, help=meaning)


class _Seconds(click.FloatRange):
    """A finite number of seconds: `nan` would be within every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        return (
            seconds if isfinite(seconds) else self.fail(f"{value!r} is not a number of seconds", param, ctx)
        )


for _drill in DRILLS:
    command.add_command(_command_for(_drill))


@command.command("all")
@_with_options
@pass_invocation
def run_every_drill(invocation: Invocation, /, **given: Any) -> ExitCode:
    """Run every drill with its defaults, one after the other.

    Each verdict is shown on stderr as it comes. The next drill follows whatever the verdict; when the
    server is lost, or Ctrl-C is pressed, the drills that have ended are reported.
    """
    wishes = Wishes(**given)

    def show(reports: Sequence[Report], ended_early: EndedEarly) -> None:
        if invocation.json:
            invocation.print_json(_document_of_all(reports, ended_early))
        else:
            invocation.print_lines(scorecard_lines(reports))

    return _carry_out(invocation, [(drill, {}) for drill in DRILLS], wishes, show)


def _document_of_all(reports: Sequence[Report], ended_early: EndedEarly) -> dict[str, Any]:
    """Return all reports, and the error that kept the other drills from running: this is never PASS."""
    verdict = worst(reports)
    if ended_early is not None and verdict is Verdict.PASS:
        verdict = Verdict.INCONCLUSIVE
    error = {"error": error_document(ended_early)} if isinstance(ended_early, CouponctlError) else {}
    documents = [report.as_json() for report in reports]
    ended = len(reports)
    return {
        "schema": SCHEMA_VERSION,
        "verdict": verdict.value,
        "reports": documents,
        "not_ended": [drill.name for drill in DRILLS[ended:]],
        **error,
    }


def _carry_out(
    invocation: Invocation,
    drills: Sequence[tuple[Drill[Any], Mapping[str, float]]],
    wishes: Wishes,
    show: Callable[[Sequence[Report], EndedEarly], None],
) -> ExitCode:
    """Run the drills with these parameters, write the reports, and `show` them unless an output is stdout."""
    outputs = wishes.outputs(invocation)
    settings = settings_of(invocation)
    plan = wishes.plan(drills, settings.limits)
    if wishes.dry_run:
        return _dry_run(invocation, plan, settings)
    ask(invocation, settings, plan.lines(), yes=wishes.yes, confirm=wishes.confirm)
    reports: list[Report] = []
    saver = RunSaver(invocation)

    def ended(report: Report) -> None:
        reports.append(held_to(report, wishes.slo))
        saver.save(reports[-1])
        if len(plan.specs) > 1:
            invocation.say(score_line(reports[-1]))

    complete = True
    try:
        ended_early = _run(invocation, plan, settings, ended)
    finally:  # also after an unexpected error
        if reports:
            complete = write_all(invocation, outputs, reports)
    if ended_early is not None:
        if not reports:
            raise ended_early
        invocation.say(f"couponctl: only {len(reports)} of {len(plan.specs)} drills are in the reports")
    if not any(output.to_stdout for output in outputs):
        show(reports, ended_early)
    if ended_early is not None:
        return _broken_off(invocation, ended_early)
    return _exit_code(reports) or (ExitCode.OK if complete else ExitCode.INVALID)


def _broken_off(invocation: Invocation, why: CouponctlError | Interrupted) -> ExitCode:
    """Return the exit code. The document on stdout already names the error, and stays the only one."""
    if isinstance(why, Interrupted):
        raise why
    invocation.say(f"couponctl: {why}")
    return exit_code_for(why)


def _exit_code(reports: Sequence[Report]) -> ExitCode:
    """Return the worst: a failed check, then INCONCLUSIVE or an unmeasured level, then a missed one."""
    verdict = worst(reports)
    met = {level.met for report in reports for level in report.slos}
    if verdict is Verdict.FAIL:
        return ExitCode.VIOLATED
    if verdict is Verdict.INCONCLUSIVE or None in met:
        return ExitCode.INCONCLUSIVE
    return ExitCode.SLO_MISSED if False in met else ExitCode.OK


def _dry_run(invocation: Invocation, plan: Plan, settings: Settings) -> ExitCode:
    required = consent_for(settings)
    consent = required.option if required else ""
    preflight = _preflight(invocation, plan, settings)
    if invocation.json:
        invocation.print_json(plan.as_json(preflight, consent))
    else:
        invocation.print_lines(plan.dry_run_lines(preflight, consent))
    return ExitCode.OK


def _preflight(invocation: Invocation, plan: Plan, settings: Settings) -> Preflight | None:
    """Inspect the server; None if it is the private one and not running: only real runs start it."""
    match settings.target:
        case Embedded(base) if not embedded.status(base or embedded.default_base()).running:
            return None
    with server_for(settings) as server:
        looked = inspect(server, settings.limits, plan.connections, unlogged=plan.unlogged)
        return run(invocation, looked)


def _run(
    invocation: Invocation, plan: Plan, settings: Settings, ended: Callable[[Report], None]
) -> EndedEarly:
    """Run the drills, pass each report to `ended`, and return what kept the rest from running."""
    progress = Progress()
    under_way: list[str] = []

    async def work(server: Server) -> None:
        if len(plan.specs) > 1:  # before the first, whether the server has room for all
            await inspect(server, settings.limits, plan.connections, unlogged=plan.unlogged)
        target = Target(server, settings.limits, unlogged=plan.unlogged)
        for spec in plan.specs:
            progress.begin()
            under_way.append(spec.drill.name)
            async with _progress_bar(spec.drill.name, progress):
                report = await run_drill(spec, target, progress=progress)
            under_way.clear()
            ended(report)

    try:
        with server_for(settings) as server:
            run(invocation, work(server), left_behind=lambda: progress.on_server.schema, loop=loop_for_load)
    except Interrupted as interrupted:
        for name in under_way:
            invocation.say(f"couponctl: {name}: {aborted_words(progress.view())}")
        return interrupted
    except CouponctlError as error:
        return error
    return None


@asynccontextmanager
async def _progress_bar(name: str, progress: Progress) -> AsyncIterator[None]:
    """Show a bar on stderr with the answers so far, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with click.progressbar(
        length=1,
        label=name,
        file=sys.stderr,
        width=12,  # a longer bar would wrap on 80 columns, and be drawn on a new line each time
        item_show_func=lambda view: view and progress_words(view),
    ) as bar:

        def draw() -> None:
            view = progress.view()
            bar.length = max(view.total, 1)
            bar.update(view.done - bar.pos, view)

        async def keep_drawing() -> None:
            while True:
                draw()
                await asyncio.sleep(_REFRESH)

        drawing = asyncio.create_task(keep_drawing(), name="progress bar")
        try:
            yield
        finally:
            drawing.cancel()
            draw()


@command.command("list")
@common_options
@pass_invocation
def list_drills(invocation: Invocation) -> None:
    """List every drill with its expectation, blast radius, faults and parameters."""
    if invocation.json:
        invocation.print_json({"drills": [drill_document(drill) for drill in DRILLS]})
    else:
        invocation.print_lines(catalog_lines(DRILLS))


@command.command("clean")
@consent_options
@common_options
@pass_invocation
def clean(invocation: Invocation, yes: bool, confirm: str | None) -> None:
    """Remove the schemas that crashed or interrupted drills have left."""
    settings = settings_of(invocation)
    found = with_database(invocation, "drill-clean", leftovers)
    dead = [leftover for leftover in found if not leftover.running]
    for leftover in found:
        if leftover.running:
            invocation.say(f"{leftover.schema} belongs to a running drill and was left as it is")
    if dead:
        ask(invocation, settings, [f"drop {one.schema}" for one in dead], yes=yes, confirm=confirm)
        with_database(invocation, "drill-clean", lambda admin: remove_all(admin, dead))
    if invocation.json:
        invocation.print_json({"removed": [leftover.schema for leftover in dead]})
        return
    invocation.print_lines(f"removed {leftover.schema}" for leftover in dead)
    if not dead:
        invocation.say("no leftover drill schemas")
