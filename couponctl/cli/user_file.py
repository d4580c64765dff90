"""Claims for many users: progress, answers, and how to continue after an abort."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

import click

from couponctl.aio.signals import Interrupted
from couponctl.cli.documents import attempt_document
from couponctl.cli.open_service import with_service
from couponctl.cli.same_command import same_command
from couponctl.errors import CouponctlError, RefusedByDatabase, Unavailable
from couponctl.models import Outcome
from couponctl.present import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from click._termui_impl import ProgressBar

    from couponctl.cli.invocation import Invocation
    from couponctl.lists.answers import AnswerFile
    from couponctl.lists.names import NameList
    from couponctl.service import Attempt


_NAMED = 10
"""Maximum number of refused users to name; the others are counted, and in the results."""


def claim_for_many(
    invocation: Invocation,
    name: str,
    users: NameList | Sequence[str],
    answers: AnswerFile | None,
    answered: Callable[[Sequence[Attempt]], None] = lambda _: None,
) -> Counter[Outcome]:
    """Claim for all users in their order, and write down every answer.

    Raises Invalid if the answers cannot be written, or belong to other users; claims made so far stand.
    """
    tally: Counter[Outcome] = Counter()
    remaining = iter(users)
    number = len(users)
    if answers is not None:
        remaining = takewhile(lambda _: answers.unwritable is None, answers.unanswered(users))
        number -= answers.answered
    with _progress_bar(number) as bar:

        def note(batch: Sequence[Attempt]) -> None:
            for refusal in _refusals(batch)[: max(0, _NAMED - tally[Outcome.REFUSED])]:
                invocation.say(f"couponctl: {refusal.message}")
            tally.update(attempt.outcome for attempt in batch)
            answered(batch)
            if answers is not None:
                answers.write(attempt_document(attempt) for attempt in batch)
            seconds = bar.time_per_iteration
            bar.update(len(batch), f"{1 / seconds:,.0f}/s" if seconds else "")

        try:
            with_service(invocation, "claim", lambda service: service.claim_many(name, remaining, note))
            if answers is not None and answers.unwritable is not None:
                raise answers.unwritable
        except (Interrupted, CouponctlError) as why:
            for line in _how_far(invocation, tally, number, answers, why):
                invocation.say(f"couponctl: {line}")
            raise
    return tally


def _refusals(batch: Sequence[Attempt]) -> list[RefusedByDatabase]:
    return [each.refusal for each in batch if isinstance(each.refusal, RefusedByDatabase)]


def _progress_bar(number: int) -> ProgressBar[str]:
    """Return a bar on stderr with rate and time left; it is hidden if stderr is not a terminal."""
    return click.progressbar(
        length=number,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
        show_percent=True,
        item_show_func=lambda rate: rate,
    )


def _how_far(
    invocation: Invocation,
    tally: Counter[Outcome],
    number: int,
    answers: AnswerFile | None,
    why: BaseException,
) -> Iterator[str]:
    """Yield what was done before the abort, and how to continue.

    Yields nothing if no user was answered and repeating the command would not help.
    """
    unwritable = answers is not None and answers.unwritable is not None
    passing = unwritable or isinstance(why, Interrupted | Unavailable)
    if not (tally or passing):
        return
    resumable = answers is not None and answers.resumable
    rest = "; the same command continues" if passing and not resumable else ""
    yield f"{tally.total():,} of {number:,} answered{rest}"
    if unwritable:
        stand = tally[Outcome.CLAIMED]
        yield f"{counted(stand, 'claim')} of this run {'remains' if stand == 1 else 'remain'} in the database"
    if resumable:
        command = same_command(invocation.arguments, (("--overwrite",), ("--resume",)), ("--resume",))
        yield f"to continue: {command}"
