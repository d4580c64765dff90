"""The outputs of reports: files named by options, or stdout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from couponctl.cli.named_files import check_named_files
from couponctl.cli.stdout import OutputFailed
from couponctl.drills.reports.journal_jsonl import journal_lines
from couponctl.drills.reports.junit import junit
from couponctl.drills.reports.markdown import markdown
from couponctl.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from couponctl.cli.invocation import Invocation
    from couponctl.drills.reports.report import Report

F = TypeVar("F", bound="Callable[..., Any]")

STDOUT = "-"

_FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "junit": junit,
    "markdown": markdown,
    "journal": lambda reports: "".join(journal_lines(reports)),
}


def output_options(function: F) -> F:
    """Add the options for report files to a command."""
    file = click.Path(allow_dash=True)
    for option in (
        click.option("--journal", type=file, metavar="FILE", help="Write every attempt as a line of JSON."),
        click.option("--markdown", type=file, metavar="FILE", help="Write a comment for a pull request."),
        click.option(
            "--junit", type=file, metavar="FILE", help="Write JUnit XML; - is stdout, for all three."
        ),
    ):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Output:
    """A format, and its file."""

    format: str
    path: str

    @property
    def to_stdout(self) -> bool:
        return self.path == STDOUT

    @property
    def _file(self) -> Path:
        """The target of all links: a trial removes the file that it created, not the link to it."""
        return Path(os.path.realpath(self.path))

    def try_out(self) -> None:
        """Check that the file can be written, without changing anything. Raises Invalid if it cannot."""
        file = self._file
        if self.to_stdout or (file.exists() and not (file.is_file() or file.is_dir())):
            return  # a pipe or a device would take the trial for the report
        existed = file.exists()
        try:
            with file.open("ab"):
                pass
            if not existed:
                file.unlink()
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def write(self, text: str) -> None:
        """Write the text. Raises Invalid if the file cannot be written, OutputFailed if stdout cannot."""
        if self.to_stdout:
            try:
                click.echo(text.encode(), nl=False)
            except OSError as exc:
                raise OutputFailed(exc) from exc
            return
        try:
            self._file.write_text(text, "utf-8", newline="\n")
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def _unwritable(self, exc: OSError) -> Invalid:
        return Invalid(f"--{self.format}", f"{self.path} cannot be written ({exc.strerror or 'no reason'})")


def outputs_of(invocation: Invocation, paths: Mapping[str, str | None]) -> tuple[Output, ...]:
    """Return the requested outputs, each tried out. Raises Invalid, also if two are the same file."""
    check_named_files(invocation, writes={f"--{format_}": path for format_, path in paths.items()})
    outputs = tuple(Output(format_, path) for format_, path in paths.items() if path is not None)
    for output in outputs:
        output.try_out()
    return outputs


def write_all(invocation: Invocation, outputs: Sequence[Output], reports: Sequence[Report]) -> bool:
    """Write every output that can be written, and say which cannot; return whether all were written.

    Raises OutputFailed if stdout is one of them and cannot be written, after all files.
    """
    complete = True
    for output in sorted(outputs, key=lambda output: output.to_stdout):
        try:
            output.write(_FORMATS[output.format](reports))
        except Invalid as error:
            invocation.say(f"couponctl: {error}")
            complete = False
    return complete
