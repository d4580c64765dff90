"""The command line as typed, with other options: the next command is shown to be copied."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from couponctl.present import command_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def same_command(arguments: Sequence[str], without: Sequence[Sequence[str]], added: Sequence[str]) -> str:
    """Return the arguments of couponctl as a shell command.

    Each of `without` is an option to leave out, followed by its value if it has one.
    """
    options = list(takewhile(lambda each: each != "--", arguments))
    operands = arguments[len(options) :]
    for option in without:
        for form in (list(option), ["=".join(option)]):
            for place in reversed(range(len(options))):
                if options[place : place + len(form)] == form:
                    del options[place : place + len(form)]
    return command_line(("couponctl", *options, *added, *operands))


def next_page(arguments: Sequence[str], after: str | None, following: str) -> str:
    """Return the same command for the page that starts after `following` instead of `after`."""
    without = () if after is None else (("--after", after),)
    return same_command(arguments, without, ("--after", following))
