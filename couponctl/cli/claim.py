"""`couponctl claim`: for one user, or for many."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from couponctl.cli.bulk import Results, UserFile
from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import attempt_document
from couponctl.cli.exits import ExitCode, exit_code_for, exit_code_for_many
from couponctl.cli.invocation import Invocation, common_options, error_document, pass_invocation
from couponctl.cli.opened import with_service
from couponctl.errors import CouponctlError, Unavailable
from couponctl.input_rules import check_written
from couponctl.interruption import Interrupted
from couponctl.models import Outcome
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from couponctl.service import Attempt


@click.command("claim")
@click.argument("name", shell_complete=coupon_names)
@click.argument("users", nargs=-1, metavar="[USER]...")
@click.option("--from", "source", metavar="FILE", help="One user a line; - reads standard input.")
@click.option("--results", metavar="FILE", help="Write every user's answer as a line of JSON; - is stdout.")
@common_options
@pass_invocation
def command(
    invocation: Invocation, name: str, users: tuple[str, ...], source: str | None, results: str | None
) -> ExitCode:
    """Claim one unit of a coupon for a user, or for each of many.

    Safe to repeat: who has claimed already is told so, and nothing is taken from the stock.
    """
    if source is not None and users:
        raise click.UsageError("name the users or give --from, not both")
    if results == "-" and invocation.json:
        raise click.UsageError("--json and --results both write to stdout")
    if source is not None:
        return _claim_from_file(invocation, name, source, results)
    if not users:
        raise click.UsageError("no user: name one, or give --from FILE")
    if len(users) > 1 or results is not None:
        return _claim_for_named(invocation, name, users, results)
    return _claim_for_one(invocation, name, users[0])


def _claim_for_one(invocation: Invocation, name: str, user_id: str) -> ExitCode:
    attempt = with_service(invocation, "claim", lambda service: service.claim(name, user_id))
    refusal = attempt.refusal
    if invocation.json:
        document = {"name": name, **attempt_document(attempt)}
        invocation.print_json(document | ({"error": error_document(refusal)} if refusal else {}))
    if refusal is not None:
        invocation.say(f"couponctl: {refusal}")
        return exit_code_for(refusal)
    if not invocation.json:
        invocation.print(f"{safe(user_id)} has claimed {safe(name)}")
    return ExitCode.OK


def _claim_for_named(
    invocation: Invocation, name: str, users: Sequence[str], results: str | None
) -> ExitCode:
    """Users named on the command line: each has a line of the answer."""
    for user in users:
        check_written("user id", user)
    attempts: list[Attempt] = []
    with Results(results) as kept:

        def answered(batch: Sequence[Attempt]) -> None:
            attempts.extend(batch)
            kept.write(batch)

        tally = _claim_for_many(invocation, name, users, len(users), answered)
    if invocation.json:
        told = [attempt_document(attempt) for attempt in attempts]
        invocation.print_json({**_totals(name, tally), "results": told})
    elif results != "-":
        for attempt in attempts:
            invocation.print(f"{safe(attempt.user_id)}  {_word(attempt.outcome)}")
    invocation.say(_summary(name, tally))
    return exit_code_for_many(tally)


def _claim_from_file(invocation: Invocation, name: str, source: str, results: str | None) -> ExitCode:
    """Users by the million: the answer is one line, and every user's is in the results."""
    with UserFile(source) as users, Results(results) as kept:
        tally = _claim_for_many(invocation, name, users, len(users), kept.write)
    if invocation.json:
        invocation.print_json(_totals(name, tally))
    elif results == "-":
        invocation.say(_summary(name, tally))
    else:
        invocation.print(_summary(name, tally))
    return exit_code_for_many(tally)


def _claim_for_many(
    invocation: Invocation,
    name: str,
    users: Iterable[str],
    number: int,
    answered: Callable[[Sequence[Attempt]], None],
) -> Counter[Outcome]:
    """Claim for all of them, in their order, with a bar that knows the rate and the time left."""
    tally: Counter[Outcome] = Counter()
    with click.progressbar(
        length=number,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
        show_percent=True,
        item_show_func=lambda rate: rate,
    ) as bar:

        def counted(batch: Sequence[Attempt]) -> None:
            answered(batch)
            tally.update(attempt.outcome for attempt in batch)
            seconds = bar.time_per_iteration
            bar.update(len(batch), f"{1 / seconds:,.0f}/s" if seconds else "")

        try:
            with_service(invocation, "claim", lambda service: service.claim_many(name, users, counted))
        except (Interrupted, CouponctlError) as why:
            rest = "; the same command does the rest" if isinstance(why, Interrupted | Unavailable) else ""
            if rest or tally:
                invocation.say(f"couponctl: {tally.total():,} of {number:,} answered{rest}")
            raise
    return tally


def _totals(name: str, tally: Counter[Outcome]) -> dict[str, object]:
    return {"name": name, **{outcome.value: tally[outcome] for outcome in Outcome}}


def _summary(name: str, tally: Counter[Outcome]) -> str:
    words = ", ".join(f"{tally[outcome]:,} {_word(outcome)}" for outcome in Outcome if tally[outcome])
    return f"{safe(name)}: {words or 'no user, nothing claimed'}"


def _word(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")
