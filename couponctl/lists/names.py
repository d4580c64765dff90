"""A list of names that is checked completely before the first name is used."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from couponctl.errors import Invalid
from couponctl.input_rules import check_written
from couponctl.lists.layout import reader_for
from couponctl.lists.lines import Line, TextLines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.lists.layout import Asked, Entry

_NAMED = 10
"""Maximum number of bad lines that are named; the others are counted."""

_NO_TEXT = re.compile("[\ud800-\udfff]")


class NameList:
    """Names from a file, in its order: read again for each iteration, never all of them in memory."""

    def __init__(self, source: str, asked: Asked, *, usual_column: str) -> None:
        """Check the whole list. `source` is a path, or `-` for standard input.

        `usual_column` is a table's usual heading for the names. Raises Invalid, with the place, if the file
        cannot be read or parsed, or a line is not a name.
        """
        self._lines = TextLines(source)
        self._checked = 0
        self.grew = False
        """Whether lines were added after those that were checked; known once all names have been read."""
        try:
            first = next((line.text for line in self._lines.read() if line.text), "")
            self._reader = reader_for(self._lines.where, first, asked, usual_column)
            self._number = self._check()
        except BaseException:
            self._lines.close()
            raise

    @property
    def where(self) -> str:
        """The file's name, for people."""
        return self._lines.where

    @property
    def remark(self) -> str:
        """What the operator should know about how it is read; empty if nothing."""
        return self._reader.remark

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the lines that were checked. Raises Invalid if a line has become unusable."""
        for entry in self._reader.entries(self._lines.read(self._checked)):
            if problem := self._problem(entry):
                raise Invalid(f"{self.where} line {entry.line}", problem)
            yield entry.name
        self.grew = self._lines.has_more()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    def _check(self) -> int:
        """Return the number of names. Raises Invalid for lines that are not names."""
        names = bad = 0
        first_bad: list[tuple[int, str]] = []
        for entry in self._reader.entries(self._counted()):
            names += 1
            if problem := self._problem(entry):
                bad += 1
                if bad <= _NAMED:
                    first_bad.append((entry.line, problem))
        if bad == 1:
            raise Invalid(f"{self.where} line {first_bad[0][0]}", first_bad[0][1])
        if bad:
            places = "; ".join(f"line {line} {problem}" for line, problem in first_bad)
            rest = f"; and {bad - _NAMED:,} more" if bad > _NAMED else ""
            raise Invalid(self.where, f"{bad:,} lines cannot be used: {places}{rest}")
        return names

    def _counted(self) -> Iterator[Line]:
        for line in self._lines.read():
            self._checked = line.number
            yield line

    def _problem(self, entry: Entry) -> str:
        """Return why the entry is not a name; empty if it is one."""
        if entry.problem:
            return entry.problem
        if not entry.name.isascii() and _NO_TEXT.search(entry.name):
            return f"is not {self._lines.encoding} text"
        try:
            check_written("", entry.name)
        except Invalid as exc:
            return exc.reason
        return ""
