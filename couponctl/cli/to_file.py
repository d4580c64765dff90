"""The options for the answers to a list, and the file that they name."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from couponctl.lists.answers import STDOUT, AnswerFile, Existing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOptions:
    """The options of the answers."""

    results: str | None
    resume: bool
    overwrite: bool

    def __post_init__(self) -> None:
        """Raises UsageError for options that do not go together."""
        if (self.resume or self.overwrite) and self.results in {None, STDOUT}:
            raise click.UsageError("--resume and --overwrite are for the file of --results")
        if self.resume and self.overwrite:
            raise click.UsageError("give --resume or --overwrite, not both")

    def opened(self) -> AbstractContextManager[AnswerFile | None]:
        """Open the file, if one is requested. Raises Invalid if it cannot be used as requested."""
        if self.results is None:
            return nullcontext()
        existing = Existing.OVERWRITE if self.overwrite else Existing.REFUSE
        return AnswerFile(self.results, Existing.RESUME if self.resume else existing)


def answer_options(function: F) -> F:
    """Add the options of the answers to a command; they arrive as the fields of `AnswerOptions`."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Overwrite the --results file."),
        click.option(
            "--resume", is_flag=True, help="Continue after the answers that the --results file holds."
        ),
        click.option(
            "--results", metavar="FILE", help="Write every user's answer as a line of JSON; - is stdout."
        ),
    ):
        function = option(function)
    return function
