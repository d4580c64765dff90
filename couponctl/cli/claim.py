"""`couponctl claim`: for one user, or for many."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import attempt_document
from couponctl.cli.exits import ExitCode, exit_code_for, exit_code_for_many
from couponctl.cli.invocation import Invocation, common_options, error_document, pass_invocation
from couponctl.cli.opened import with_service
from couponctl.cli.running import Interrupted
from couponctl.errors import Invalid, Unavailable
from couponctl.input_rules import check_written
from couponctl.models import Outcome
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.service import Attempt


@click.command("claim")
@click.argument("name", shell_complete=coupon_names)
@click.argument("users", nargs=-1, metavar="[USER]...")
@click.option("--from", "source", metavar="FILE", help="One user a line; - reads standard input.")
@common_options
@pass_invocation
def command(invocation: Invocation, name: str, users: tuple[str, ...], source: str | None) -> ExitCode:
    """Claim one unit of a coupon for a user, or for each of many.

    Safe to repeat: who has claimed already is told so, and nothing is taken from the stock.
    """
    if source is not None and users:
        raise click.UsageError("name the users or give --from, not both")
    if source is not None:
        return _claim_for_many(invocation, name, list(_users_from(source)))
    if not users:
        raise click.UsageError("no user: name one, or give --from FILE")
    if len(users) > 1:
        return _claim_for_many(invocation, name, users)
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


def _claim_for_many(invocation: Invocation, name: str, users: Sequence[str]) -> ExitCode:
    attempts: list[Attempt] = []
    with click.progressbar(length=len(users), file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def answered(attempt: Attempt) -> None:
            attempts.append(attempt)
            bar.update(1)

        try:
            with_service(invocation, "claim", lambda service: service.claim_many(name, users, answered))
        except Interrupted:
            invocation.say(
                f"couponctl: {len(attempts):,} of {len(users):,} answered; the same command does the rest"
            )
            raise
    tally = Counter(attempt.outcome for attempt in attempts)
    if invocation.json:
        invocation.print_json(
            {
                "name": name,
                **{outcome.value: tally[outcome] for outcome in Outcome},
                "results": [attempt_document(attempt) for attempt in attempts],
            }
        )
    else:
        for attempt in attempts:
            invocation.print(f"{safe(attempt.user_id)}  {_word(attempt.outcome)}")
    words = ", ".join(f"{tally[outcome]:,} {_word(outcome)}" for outcome in Outcome if tally[outcome])
    invocation.say(f"{name}: {words or 'no user, nothing claimed'}")
    for trouble in {a.outcome: a.refusal for a in attempts if isinstance(a.refusal, Unavailable)}.values():
        invocation.say(f"couponctl: {trouble}")
    return exit_code_for_many(tally)


def _word(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _users_from(source: str) -> Iterator[str]:
    """The users of a file, checked line by line before the first claim is made."""
    where = "standard input" if source == "-" else source
    try:
        with click.open_file(source, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                place = f"{where} line {number}"
                # The line is decoded alone, so that it can be named; the first may begin with a BOM.
                user = _decoded(line.rstrip(b"\r\n"), place, "utf-8-sig" if number == 1 else "utf-8")
                if user:
                    check_written(place, user)
                    yield user
    except OSError as exc:
        raise Invalid(where, f"cannot be read ({exc.strerror})") from exc


def _decoded(line: bytes, place: str, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as exc:
        raise Invalid(place, "is not UTF-8 text") from exc
