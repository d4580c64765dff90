"""`couponctl drill`: a command for each drill of the catalogue, and all, list and clean."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from couponctl.claims import STRATEGIES, find_strategy
from couponctl.cli.consent import ask, consent_options
from couponctl.cli.documents import drill_document
from couponctl.cli.exits import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import settings_of, with_database
from couponctl.cli.running import run
from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Progress, Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.isolation import leftovers, remove_all
from couponctl.drills.report import SCHEMA_VERSION, worst
from couponctl.drills.words import catalog_lines, plan_lines, progress_words, report_lines, scorecard_lines
from couponctl.reach import reached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from couponctl.drills.drill import Drill, Parameter, Parameters
    from couponctl.drills.report import Report
    from couponctl.libpq import Server

_EXIT_CODES = {
    Verdict.PASS: ExitCode.OK,
    Verdict.FAIL: ExitCode.VIOLATED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
_REFRESH = 0.1
"""Seconds between two looks at a running drill."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    drills: tuple[tuple[Drill[Any], Parameters], ...]
    strategy: str
    seed: int | None

    def lines(self) -> Iterator[str]:
        for drill, parameters in self.drills:
            yield from plan_lines(drill, parameters)


@click.group("drill")
@common_options
def command() -> None:
    """Attack the claim path of the database and hear a verdict.

    Every drill works in a schema of its own, which it drops however it ends; your coupons and claims are
    neither read nor written. Exit code 0 is PASS, 20 FAIL, 22 INCONCLUSIVE.
    """


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What every command can be given that runs drills."""
    names = [strategy.name for strategy in STRATEGIES]
    for option in (
        common_options,
        consent_options,
        click.option("--strategy", type=click.Choice(names), default=names[0], show_default=True),
        click.option("--seed", type=click.IntRange(min=0), help="Repeat the random choices of a run."),
    ):
        function = option(function)
    return function


def _command_for(drill: Drill[Any]) -> click.Command:
    @_with_options
    @pass_invocation
    def run_it(
        invocation: Invocation,
        /,
        strategy: str,
        seed: int | None,
        yes: bool,
        confirm: str | None,
        **given: Any,
    ) -> ExitCode:
        parameters = drill.parameters(**{name: value for name, value in given.items() if value is not None})
        plan = Plan(((drill, parameters),), strategy, seed)
        (report,) = _run(invocation, plan, yes=yes, confirm=confirm)
        if invocation.json:
            invocation.print_json(report.as_json())
        else:
            invocation.print_lines(report_lines(report))
        return _EXIT_CODES[report.verdict]

    sentences = (drill.title, f"Promise: {drill.promise}", f"Touches: {drill.blast_radius}")
    text = "\n\n".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)
    made = click.command(drill.name, help=text, short_help=drill.title)(run_it)
    made.params = [*map(_option_for, drill.parameters.described()), *made.params]
    return made


def _option_for(parameter: Parameter) -> click.Option:
    whole = parameter.kind is int
    kind = click.IntRange(int(parameter.at_least)) if whole else click.FloatRange(parameter.at_least)
    default = "" if parameter.default is None else f"  [default: {parameter.default:g}]"
    meaning = f"{parameter.meaning[0].upper()}{parameter.meaning[1:]}.{default}"
    return click.Option([f"--{parameter.name.replace('_', '-')}"], type=kind, help=meaning)


for _drill in DRILLS:
    command.add_command(_command_for(_drill))


@command.command("all")
@_with_options
@pass_invocation
def run_every_drill(
    invocation: Invocation, strategy: str, seed: int | None, yes: bool, confirm: str | None
) -> ExitCode:
    """Run every drill with its defaults, one after the other."""
    plan = Plan(tuple((drill, drill.parameters()) for drill in DRILLS), strategy, seed)
    reports = _run(invocation, plan, yes=yes, confirm=confirm)
    verdict = worst(reports)
    if invocation.json:
        documents = [report.as_json() for report in reports]
        invocation.print_json({"schema": SCHEMA_VERSION, "verdict": verdict.value, "reports": documents})
    else:
        invocation.print_lines(scorecard_lines(reports))
    return _EXIT_CODES[verdict]


def _run(invocation: Invocation, plan: Plan, *, yes: bool, confirm: str | None) -> list[Report]:
    settings = settings_of(invocation)
    ask(invocation, settings, plan.lines(), yes=yes, confirm=confirm)
    progress = Progress()

    async def work(server: Server) -> list[Report]:
        target = Target(server, settings.limits, find_strategy(plan.strategy))
        reports = []
        for drill, parameters in plan.drills:
            progress.begin()
            async with _progress_bar(drill.name, progress):
                report = await run_drill(drill, target, parameters, seed=plan.seed, progress=progress)
            reports.append(report)
        return reports

    with reached(settings) as server:
        return run(invocation, work(server), left_behind=lambda: progress.left_behind)


@asynccontextmanager
async def _progress_bar(name: str, progress: Progress) -> AsyncIterator[None]:
    """A bar on stderr with what was answered so far, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with click.progressbar(
        length=1, label=name, file=sys.stderr, item_show_func=lambda view: view and progress_words(view)
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
    """Name every drill, its promise, what it touches and its parameters."""
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
            invocation.say(f"{leftover.schema} belongs to a drill that is running, and stays")
    if dead:
        ask(invocation, settings, [f"drop {one.schema}" for one in dead], yes=yes, confirm=confirm)
        with_database(invocation, "drill-clean", lambda director: remove_all(director, dead))
    if invocation.json:
        invocation.print_json({"removed": [leftover.schema for leftover in dead]})
        return
    invocation.print_lines(f"removed {leftover.schema}" for leftover in dead)
    if not dead:
        invocation.say("nothing was left behind")
