"""Users by the million: read from a file, their answers written to another; nothing of it in memory."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import click

from couponctl.cli.documents import attempt_document
from couponctl.errors import Invalid
from couponctl.input_rules import check_written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from couponctl.service import Attempt


class UserFile:
    """A user a line, all of them checked before the first is read; iterated anew each time."""

    def __init__(self, source: str) -> None:
        """`source` is a path, or - for standard input. Raises Invalid, with the place, for a bad line."""
        self._where = "standard input" if source == "-" else source
        self._closing = ExitStack()
        try:
            self._lines = self._opened(source)
            self._number = sum(1 for _ in self)
        except OSError as exc:
            self._closing.close()
            raise Invalid(self._where, f"cannot be read ({exc.strerror})") from exc
        except BaseException:
            self._closing.close()
            raise

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[str]:
        self._lines.seek(0)
        for number, line in enumerate(self._lines, start=1):
            place = f"{self._where} line {number}"
            # The line is decoded alone, so that it can be named; the first may begin with a BOM.
            user = _decoded(line.rstrip(b"\r\n"), place, "utf-8-sig" if number == 1 else "utf-8")
            if user:
                check_written(place, user)
                yield user

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _opened(self, source: str) -> IO[bytes]:
        """The file, or a copy of what can be read only once."""
        given = self._closing.enter_context(click.open_file(source, "rb"))
        if source != "-" and given.seekable():
            return given
        copy = self._closing.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        shutil.copyfileobj(given, copy)
        return copy


def _decoded(line: bytes, place: str, encoding: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as exc:
        raise Invalid(place, "is not UTF-8 text") from exc


class Results:
    """Where every answer goes as a line of JSON: a file, stdout, or nowhere."""

    def __init__(self, path: str | None) -> None:
        """Raises Invalid where the file cannot be written; one that exists is written anew."""
        self._path = path
        self._file: IO[str] | None = None
        if path == "-":
            self._file = sys.stdout
        elif path is not None:
            try:
                self._file = Path(path).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by __exit__
            except OSError as exc:
                raise self._unwritable(exc) from exc

    def write(self, attempts: Sequence[Attempt]) -> None:
        """Raises Invalid where the disk is full."""
        if self._file is None:
            return
        lines = (json.dumps(attempt_document(attempt)) + "\n" for attempt in attempts)
        try:
            self._file.write("".join(lines))
            self._file.flush()
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None and self._file is not sys.stdout:
            self._file.close()

    def _unwritable(self, exc: OSError) -> Invalid:
        return Invalid("--results", f"{self._path} cannot be written ({exc.strerror or 'no reason'})")
