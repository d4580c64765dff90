"""The context of every command: its database and its output. The common options may stand anywhere."""

from __future__ import annotations

import functools
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from couponctl.errors import CouponctlError
from couponctl.present import safe, sight_words
from couponctl.present.glyph import Glyph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from couponctl.logs.log_file import Log
    from couponctl.models import Hidden


_COLORS = {"good": "green", "warn": "yellow", "bad": "red"}

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass
class Invocation:
    """One run of the program."""

    url: str | None = None
    context: str | None = None
    json: bool = False
    no_color: bool = False
    verbose: bool = False
    log_file: str | None = None
    log: Log | None = None
    """Open while a command runs that was asked for one."""
    arguments: tuple[str, ...] = ()
    """All arguments of the program."""
    said: set[str] = field(default_factory=set)
    """Lines that need not be said again."""

    def say(self, line: str) -> None:
        """Write a message to stderr; if stderr cannot be written, the work goes on."""
        with suppress(OSError):
            click.echo(safe(line), err=True)

    def say_once(self, line: str) -> None:
        if line not in self.said:
            self.said.add(line)
            self.say(line)

    def print(self, line: str = "") -> None:
        """Write a line of data to stdout; untrusted text in it has passed `safe` already."""
        click.echo(line, color=self.colored(sys.stdout))

    def print_lines(self, lines: Iterable[str]) -> None:
        """Write lines of data, with their glyphs in colour."""
        for line in lines:
            for glyph in Glyph:
                if glyph.tone and not glyph.isascii():  # ! and ? stand in sentences too
                    line = line.replace(glyph, click.style(glyph, fg=_COLORS[glyph.tone]))  # noqa: PLW2901
            self.print(line)

    def print_json(self, document: Any) -> None:
        """Write the answer as one JSON document, ASCII-escaped and lossless."""
        self.print(json.dumps(document, ensure_ascii=True, indent=2))

    def say_how_far(self, hidden: Hidden | None) -> None:
        """Say what the role does not see, if that is a part of the ledger."""
        if hidden is not None:
            self.say(f"couponctl: {sight_words(hidden)}")

    def fail(self, error: CouponctlError) -> None:
        """Write the error and its hint to stderr on one line; with --json also as a document to stdout."""
        self.say(f"couponctl: {error}")
        if self.json:
            self.print_json({"error": error_document(error)})

    def colored(self, stream: Any) -> bool:
        if self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return stream is not None and bool(stream.isatty())


def error_document(error: CouponctlError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "hint": error.hint, "status": error.status}


def common_options(command: F) -> F:
    """Add the common options to a command: they may stand before or after its name."""

    @functools.wraps(command)
    def logged(*arguments: Any, **given: Any) -> Any:
        _open_log(click.get_current_context())
        return command(*arguments, **given)

    for option in reversed(_COMMON_OPTIONS):
        logged = option(logged)
    return cast("F", logged)


def _open_log(context: click.Context) -> None:
    """Open the log before the work of a command begins; a group has none of its own."""
    invocation = context.ensure_object(Invocation)
    asked_for = invocation.log_file is not None or os.environ.get("COUPONCTL_LOG")
    if asked_for and not isinstance(context.command, click.Group):
        from couponctl.cli.logs import opened  # noqa: PLC0415 - `logging` takes its time to import

        invocation.log = opened(invocation.log_file, context)


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value or (value is not None and parameter.name == "log_file"):  # an empty name is a mistake
        setattr(context.ensure_object(Invocation), str(parameter.name), value)


def _context_names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from couponctl.settings import context_names  # noqa: PLC0415 - only a Tab needs it

    try:
        return [name for name in context_names() if name.startswith(incomplete) and name.isidentifier()]
    except CouponctlError:
        return []


_option = functools.partial(click.option, expose_value=False, callback=_remember)

_COMMON_OPTIONS = (
    _option("--url", metavar="URL", help="The database's URL, without a password: `ps` would show it."),
    _option("--context", metavar="NAME", help="A database from config.toml.", shell_complete=_context_names),
    _option("--json", is_flag=True, help="Answer with one JSON document on stdout."),
    _option("--no-color", is_flag=True, help="No colours; NO_COLOR=1 does the same."),
    _option("--log-file", metavar="LOG", help="Append what happens behind the scenes to this file."),
    _option("-v", "--verbose", is_flag=True, help="Show the traceback of an unexpected error."),
)
