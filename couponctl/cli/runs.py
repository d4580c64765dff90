"""`couponctl runs`: the saved drill runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from couponctl.cli.completion import run_names
from couponctl.cli.documents import run_document
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.same_command import same_command
from couponctl.present import counted

if TYPE_CHECKING:
    from couponctl.drills.reports.store import RunStore


@click.group("runs")
@common_options
def command() -> None:
    """List saved drill runs, show one, compare two.

    Every run of `couponctl drill` is saved when it ends, whatever its verdict.
    """


@command.command("list")
@click.option("--drill", metavar="NAME", help="Only runs of this drill.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum number of runs."
)
@common_options
@pass_invocation
def list_runs(invocation: Invocation, drill: str | None, limit: int) -> None:
    """List saved runs, the newest first.

    P50 and P99 are of claims won, or of the most frequent answer where nobody won.
    """
    from couponctl.drills.reports.store import run_table  # noqa: PLC0415 - it loads SQLAlchemy

    listing = _store().list(drill=drill, limit=limit)
    if invocation.json:
        runs = [run_document(run) for run in listing.runs]
        invocation.print_json({"runs": runs, "skipped": listing.skipped, "more": listing.more})
    elif listing.runs:
        invocation.print_lines(run_table(listing.runs).lines())
    elif drill is not None:
        invocation.say(f'there is no saved run of "{drill}"; `couponctl drill list` names the drills')
    elif not listing.skipped:
        invocation.say("there are no saved runs yet: `couponctl drill scale` makes one")
    if listing.skipped:
        invocation.say(
            f"{counted(listing.skipped, 'file')} skipped: broken, or of another version of couponctl"
        )
    if listing.more and not invocation.json:
        more = ("--limit", str(min(10 * limit, 10_000)))
        invocation.say(f"more: {same_command(invocation.arguments, (('--limit', str(limit)),), more)}")


@command.command("show")
@click.argument("name", metavar="RUN", shell_complete=run_names)
@common_options
@pass_invocation
def show(invocation: Invocation, name: str) -> None:
    """Show a saved run as its drill did.

    RUN is the beginning of its id, or last, last~1 (the one before), last~2 and so on.
    """
    from couponctl.drills.reports.store import origin_words  # noqa: PLC0415
    from couponctl.drills.reports.text import report_lines  # noqa: PLC0415 - as above

    run = _store().find(name)
    if invocation.json:
        invocation.print_json(run.as_json())
        return
    invocation.print_lines(report_lines(run.report))
    invocation.print(f"  {origin_words(run)}")


@command.command("diff")
@click.argument("before", metavar="[RUN]", default="last~1", shell_complete=run_names)
@click.argument("after", metavar="[RUN]", default="last", shell_complete=run_names)
@common_options
@pass_invocation
def diff(invocation: Invocation, before: str, after: str) -> None:
    """Compare two saved runs, the earlier one first.

    RUN is named as for `couponctl runs show`. One alone is compared with the last one; without any, the
    last two are compared.
    """
    from couponctl.drills.reports.comparison import compare, comparison_lines  # noqa: PLC0415 - as above

    store = _store()
    comparison = compare(store.find(before).report, store.find(after).report)
    if invocation.json:
        invocation.print_json(comparison.as_json())
    else:
        invocation.print_lines(comparison_lines(comparison))


def _store() -> RunStore:
    # This loads the drills and SQLAlchemy, which takes a quarter of a second: no help should.
    from couponctl.drills.reports.store import RunStore, default_directory  # noqa: PLC0415

    return RunStore(default_directory())
