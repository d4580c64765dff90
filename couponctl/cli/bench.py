"""`couponctl bench`."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from couponctl.bench.course import Course, arrivals, ground, run_course
from couponctl.bench.pgbench import found
from couponctl.bench.rows import HEADER, cells_of, markdown_lines, row_lines, summed_up
from couponctl.claims import STRATEGIES
from couponctl.cli.consent import ask, consent_options
from couponctl.cli.exits import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import settings_of
from couponctl.cli.running import run
from couponctl.drills.progress import Progress
from couponctl.errors import Invalid
from couponctl.present import aligned, counted, milliseconds
from couponctl.reach import reached

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from couponctl.bench.course import Ground
    from couponctl.bench.load import Arrivals
    from couponctl.bench.rows import Measurement
    from couponctl.settings import Settings

_NAMES = tuple(strategy.name for strategy in STRATEGIES)

_OPEN_HEADER = ("STRATEGY", "WANTED/S", "CLAIMS/S", "P50", "P99", "LATE", "DROPPED", "FAILED")
_OPEN_ALIGNMENT = "<>>>>>>>"


def _numbers(_context: click.Context, option: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(word) for word in given.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(1 <= number <= 10_000 for number in numbers):
        raise click.BadParameter(f"{given!r} is no list of numbers from 1 to 10000, such as 1,50,500")
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    """What the bench was given."""

    strategy: tuple[str, ...]
    in_flight: tuple[int, ...]
    coupons: tuple[int, ...]
    seconds: float
    rounds: int
    pgbench: bool
    rate: float | None
    seed: int | None
    markdown: str | None
    yes: bool
    confirm: str | None


@click.command("bench")
@click.option(
    "--strategy", multiple=True, type=click.Choice(_NAMES), help="One; may be repeated. All unless given."
)
@click.option(
    "--in-flight",
    default="1,50,500",
    show_default=True,
    metavar="N,…",
    callback=_numbers,
    help="Claims at once.",
)
@click.option(
    "--coupons",
    default="1",
    show_default=True,
    metavar="N,…",
    callback=_numbers,
    help="Coupons that share them.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 600), default=2.0, show_default=True, help="Of one measurement."
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Of all measurements."
)
@click.option("--pgbench/--no-pgbench", default=True, help="Measure against pgbench, where it is installed.")
@click.option(
    "--rate", type=click.FloatRange(1, 1_000_000), help="Claims a second that come, answered or not."
)
@click.option("--seed", type=click.IntRange(min=0), help="Repeat the arrivals of --rate.")
@click.option("--markdown", metavar="FILE", help="Write the table for a pull request; - is stdout.")
@consent_options
@common_options
@pass_invocation
def command(invocation: Invocation, /, **given: Any) -> ExitCode:
    """Measure the strategies side by side, with pgbench as the yardstick.

    It works in a schema of its own, which it drops however it ends, and takes all the load that the server
    can bear. After every measurement the ledger is read: a fast claim that is wrong ends it with exit code 20.
    """
    wishes = _Wishes(**given)
    if wishes.markdown == "-" and invocation.json:
        raise click.UsageError("--json and --markdown both write to stdout")
    settings = settings_of(invocation)
    pgbench = wishes.pgbench and wishes.rate is None
    if pgbench and not found():
        invocation.say("couponctl: pgbench is not installed, so there is no yardstick")
        pgbench = False
    course = Course(
        wishes.strategy or _NAMES, wishes.in_flight, wishes.coupons, wishes.seconds, wishes.rounds, pgbench
    )
    ask(invocation, settings, course.lines(settings.limits), yes=wishes.yes, confirm=wishes.confirm)
    if wishes.rate is None:
        _closed(invocation, settings, course, wishes)
    else:
        _open(invocation, settings, course, wishes, wishes.rate)
    return ExitCode.OK


def _closed(invocation: Invocation, settings: Settings, course: Course, wishes: _Wishes) -> None:
    def measured(each: Measurement) -> None:
        cell = each.cell
        if sys.stderr.isatty():
            where = f"{cell.in_flight:,} in flight, {counted(cell.coupons, 'coupon')}"
            invocation.say(f"{cell.subject}, {where}: {each.claims_per_s:,.0f} claims/s")

    rows = summed_up(_on_ground(invocation, settings, course, lambda g: run_course(course, g, measured)))
    if invocation.json:
        invocation.print_json({"rows": [row.as_json() for row in rows]})
    elif wishes.markdown != "-":
        invocation.print_lines(row_lines(rows))
    _write(invocation, wishes.markdown, HEADER, [cells_of(row) for row in rows])


def _open(invocation: Invocation, settings: Settings, course: Course, wishes: _Wishes, rate: float) -> None:
    seed = secrets.randbelow(2**32) if wishes.seed is None else wishes.seed

    async def each(ground: Ground) -> list[tuple[str, Arrivals]]:
        return [
            (
                name,
                await arrivals(
                    ground, name, rate=rate, coupons=course.coupons[0], seconds=course.seconds, seed=seed
                ),
            )
            for name in course.strategies
        ]

    results = _on_ground(invocation, settings, course, each)
    rows = [_open_cells(name, found) for name, found in results]
    if invocation.json:
        documents = [_open_document(name, found, seed) for name, found in results]
        invocation.print_json({"rate": rate, "seed": seed, "rows": documents})
    elif wishes.markdown != "-":
        invocation.print_lines(aligned([_OPEN_HEADER, *rows], _OPEN_ALIGNMENT))
    _write(invocation, wishes.markdown, _OPEN_HEADER, rows)
    for name, found in results:
        if not found.reached:
            invocation.say(
                f"couponctl: {name}: RATE NOT REACHED: {found.claims_per_s:,.0f} of {rate:,.0f} a second"
            )


def _on_ground(
    invocation: Invocation,
    settings: Settings,
    course: Course,
    work: Callable[[Ground], Coroutine[Any, Any, Any]],
) -> Any:
    progress = Progress()

    async def on(server: Any) -> Any:
        async with ground(server, settings.limits, course.connections(settings.limits), progress) as place:
            return await work(place)

    with reached(settings) as server:
        return run(invocation, on(server), left_behind=lambda: progress.left_behind)


def _open_cells(name: str, found: Arrivals) -> tuple[str, ...]:
    return (
        name,
        f"{found.wanted_per_s:,.0f}",
        f"{found.claims_per_s:,.0f}",
        milliseconds(found.percentile_ms(0.50)),
        milliseconds(found.percentile_ms(0.99)),
        f"{found.late:,}",
        f"{found.dropped:,}",
        f"{found.failed:,}",
    )


def _open_document(name: str, found: Arrivals, seed: int) -> dict[str, Any]:
    return {
        "subject": name,
        "claims_per_s": round(found.claims_per_s, 1),
        "p50_ms": round(found.percentile_ms(0.50), 3),
        "p99_ms": round(found.percentile_ms(0.99), 3),
        "late": found.late,
        "dropped": found.dropped,
        "failed": found.failed,
        "rate_reached": found.reached,
        "seed": seed,
    }


def _write(
    invocation: Invocation, path: str | None, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    if path is None:
        return
    text = "\n".join(markdown_lines(header, rows)) + "\n"
    if path == "-":
        invocation.print(text.rstrip("\n"))
        return
    try:
        Path(path).write_text(text, "utf-8")
    except OSError as exc:
        raise Invalid("--markdown", f"{path} cannot be written ({exc.strerror or 'no reason'})") from exc
