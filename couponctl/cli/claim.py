"""`couponctl claim`: for one user, or for many."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from couponctl.cli.closest_name import with_closest_name
from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import attempt_document
from couponctl.cli.exit_codes import ExitCode, exit_code_for, exit_code_for_many
from couponctl.cli.from_file import ListOptions, list_options, listed
from couponctl.cli.invocation import Invocation, common_options, error_document, pass_invocation
from couponctl.cli.named_files import check_named_files
from couponctl.cli.open_service import with_service
from couponctl.cli.to_file import AnswerOptions, answer_options
from couponctl.cli.user_file import claim_for_many
from couponctl.errors import CouponNotFound
from couponctl.input_rules import check_written
from couponctl.lists.answers import STDOUT
from couponctl.models import Outcome
from couponctl.present import safe

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from couponctl.lists.answers import AnswerFile
    from couponctl.service import Attempt, CouponService


@click.command("claim")
@click.argument("name", shell_complete=coupon_names)
@click.argument("users", nargs=-1, metavar="[USER]...")
@list_options
@answer_options
@common_options
@pass_invocation
def command(invocation: Invocation, /, name: str, users: tuple[str, ...], **given: Any) -> ExitCode:
    """Claim one unit of a coupon for a user, or for each of many.

    Safe to repeat: users who have claimed already get that answer, and nothing is taken from the stock.
    """
    to = AnswerOptions(**{each.name: given.pop(each.name) for each in fields(AnswerOptions)})
    listing = ListOptions(**given)
    if listing.source is not None and users:
        raise click.UsageError("name the users or give --from, not both")
    if listing.source is None and not users:
        raise click.UsageError("no user: name one, or give --from FILE")
    if len(users) == 1 and to.results is None:
        return _claim_for_one(invocation, name, users[0])
    check_named_files(invocation, reads={"--from": listing.source}, writes={"--results": to.results})
    if users:
        return _claim_for_named(invocation, name, users, to)
    return _claim_from_file(invocation, name, listing, to)


def _claim_for_one(invocation: Invocation, name: str, user_id: str) -> ExitCode:
    async def claim(service: CouponService) -> Attempt:
        attempt = await service.claim(name, user_id)
        if not isinstance(attempt.refusal, CouponNotFound):
            return attempt
        return attempt._replace(refusal=await with_closest_name(service, attempt.refusal))

    attempt = with_service(invocation, "claim", claim)
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


def _claim_for_named(invocation: Invocation, name: str, users: Sequence[str], to: AnswerOptions) -> ExitCode:
    """Claim for users named on the command line: each gets a line of output."""
    for user in users:
        check_written("user id", user)
    attempts: list[Attempt] = []
    with to.opened() as answers:
        tally = claim_for_many(invocation, name, users, answers, attempts.extend)
    if invocation.json:
        told = [attempt_document(attempt) for attempt in attempts]
        invocation.print_json({**_totals(name, tally), "results": told})
    elif to.results != STDOUT:
        for attempt in attempts:
            invocation.print(f"{safe(attempt.user_id)}  {attempt.outcome.label}")
    invocation.say(_summary(name, tally, answers))
    return exit_code_for_many(tally)


def _claim_from_file(invocation: Invocation, name: str, listing: ListOptions, to: AnswerOptions) -> ExitCode:
    """Claim for any number of users: the output is one line, every user's answer is in the results."""
    with listed(invocation, listing, usual_column="user_id") as users, to.opened() as answers:
        tally = claim_for_many(invocation, name, users, answers)
    if invocation.json:
        invocation.print_json(_totals(name, tally))
    elif to.results == STDOUT:
        invocation.say(_summary(name, tally, answers))
    else:
        invocation.print(_summary(name, tally, answers))
    return exit_code_for_many(tally)


def _totals(name: str, tally: Counter[Outcome]) -> dict[str, object]:
    return {"name": name, **{outcome.value: tally[outcome] for outcome in Outcome}}


def _summary(name: str, tally: Counter[Outcome], answers: AnswerFile | None) -> str:
    words = [f"{tally[outcome]:,} {outcome.label}" for outcome in Outcome if tally[outcome]]
    if answers is not None and answers.answered:
        words.append(f"{answers.answered:,} answered by the run before")
    return f"{safe(name)}: {', '.join(words) or 'no user, nothing claimed'}"
