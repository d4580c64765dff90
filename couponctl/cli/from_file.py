"""The options that pass a list of names to a command, and the list itself."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from couponctl.errors import Invalid
from couponctl.lists.layout import Asked, Layout
from couponctl.lists.names import NameList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from couponctl.cli.invocation import Invocation

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """The options of a list."""

    source: str | None
    column: str | None
    layout: str | None
    plain: bool
    allow_empty: bool

    def __post_init__(self) -> None:
        """Raises UsageError for options that do not go together."""
        if self.source is None and (self.column or self.layout or self.plain or self.allow_empty):
            raise click.UsageError("--column, --format, --plain and --allow-empty are for the list of --from")
        if self.plain and (self.layout or self.column):
            raise click.UsageError("--plain takes lines as they are: leave --format and --column out")

    def asked(self) -> Asked:
        named = Layout(self.layout) if self.layout else None
        return Asked(Layout.PLAIN if self.plain else named, self.column)


def list_options(function: F) -> F:
    """Add the options of a list to a command; they arrive as the fields of `ListOptions`."""
    for option in (
        click.option("--allow-empty", is_flag=True, help="Accept an empty list."),
        click.option(
            "--plain", is_flag=True, help="Read every line as a name, even if it looks like a table."
        ),
        click.option(
            "--format",
            "layout",
            type=click.Choice([Layout.CSV.value, Layout.JSONL.value]),
            help="The format of the list, if its name and first line do not tell.",
        ),
        click.option("--column", metavar="NAME", help="The column of the table that holds the names."),
        click.option(
            "--from",
            "source",
            metavar="FILE",
            help="One name per line, a table with a heading (CSV), or JSON lines; - reads standard input.",
        ),
    ):
        function = option(function)
    return function


@contextmanager
def listed(invocation: Invocation, options: ListOptions, *, usual_column: str) -> Iterator[NameList]:
    """Open the list, checked as a whole. Raises Invalid if it is unusable, or empty without --allow-empty."""
    assert options.source is not None
    with NameList(options.source, options.asked(), usual_column=usual_column) as names:
        if not len(names) and not options.allow_empty:
            raise Invalid(names.where, "holds no names; --allow-empty accepts that")
        if names.remark:
            invocation.say(f"couponctl: {names.where}: {names.remark}")
        yield names
        if names.grew:
            invocation.say(f"couponctl: lines were added to {names.where} during the run; they were not read")
