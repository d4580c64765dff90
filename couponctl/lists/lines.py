"""The lines of a text file: numbered, limited in length, and readable more than once."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from io import TextIOWrapper
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from couponctl.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STDIN = "-"

LONGEST = 1 << 20
"""Maximum characters of a line: a name has at most 255, but a row of a table may hold more."""

_BLOCK = 1 << 16
"""Bytes copied at once."""

_BYTE_ORDER_MARK = "\ufeff"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """A line without its end."""

    number: int
    """From 1."""
    text: str
    """Bytes that are not text in the file's encoding become lone surrogates (PEP 383)."""


class TextLines:
    """A file, or standard input, in UTF-8, or in UTF-16 if its byte order mark says so.

    Input that can be read only once is copied to a temporary file first, so that all of it can be checked
    before it is used. In files joined together, any line may begin with a byte order mark.
    """

    def __init__(self, source: str) -> None:
        """Open `source`, a path, or `-` for standard input. Raises Invalid if it cannot be read."""
        self.where = "standard input" if source == STDIN else source
        with ExitStack() as opened:
            try:
                file: IO[bytes] = opened.enter_context(_opened(source))
                if source == STDIN or not file.seekable():
                    file = opened.enter_context(self._copied(file))
                utf_16 = file.read(2) in _UTF_16
            except OSError as exc:
                raise self._unreadable(exc) from exc
            self.encoding = "UTF-16" if utf_16 else "UTF-8"
            strange = "surrogatepass" if utf_16 else "surrogateescape"
            text = TextIOWrapper(file, self.encoding, strange, newline="\n")
            self._text = opened.enter_context(text)
            self._closing = opened.pop_all()

    def read(self, most: int | None = None) -> Iterator[Line]:
        """Yield at most `most` lines, from the first. Raises Invalid, also for a line that is too long."""
        try:
            self._text.seek(0)
            for number in count(1) if most is None else range(1, most + 1):
                text = self._text.readline(LONGEST + 1)
                if not text:
                    return
                if len(text) > LONGEST:
                    raise Invalid(f"{self.where} line {number}", f"has more than {LONGEST:,} characters")
                yield Line(number, text.lstrip(_BYTE_ORDER_MARK).rstrip("\r\n"))
        except OSError as exc:
            raise self._unreadable(exc) from exc
        except UnicodeDecodeError as exc:
            raise Invalid(f"the end of {self.where}", f"is not {self.encoding} text") from exc

    def has_more(self) -> bool:
        """Whether there is anything after the last line that was read."""
        return bool(self._text.read(1))

    def close(self) -> None:
        self._closing.close()

    def _copied(self, file: IO[bytes]) -> IO[bytes]:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        try:
            while block := file.read(_BLOCK):
                self._keep(copy.write, block)
            self._keep(copy.seek, 0)
        except BaseException:
            with suppress(OSError):  # closing may fail on the full disk again
                copy.close()
            raise
        return copy

    def _keep(self, act: Callable[..., object], *arguments: object) -> None:
        try:
            act(*arguments)
        except OSError as exc:
            reason = f"cannot be copied to {tempfile.gettempdir()} ({exc.strerror or 'no reason'})"
            raise Invalid(self.where, reason) from exc

    def _unreadable(self, exc: OSError) -> Invalid:
        return Invalid(self.where, f"cannot be read ({exc.strerror or 'no reason'})")


def _opened(source: str) -> IO[bytes]:
    if source == STDIN:
        return open(0, "rb", closefd=False)
    return Path(source).open("rb")
