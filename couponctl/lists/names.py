"""A list of names, checked whole before the first of them is used."""

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
"""Bad lines that are named; the others are counted."""

_NO_TEXT = re.compile("[\ud800-\udfff]")


class NameList:
    """Names from a file in its order: read anew each time, and never all of them in memory."""

    def __init__(self, source: str, asked: Asked, *, usual_column: str) -> None:
        """Check all of it. `source` is a path, or - for standard input.

        `usual_column` is what a table calls the names. Raises Invalid, with the place, where the file cannot
        be read or understood, or a line is no name.
        """
        self._lines = TextLines(source)
        self._checked = 0
        self.grew = False
        """Lines were added behind those that were checked; known once all names have been read."""
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
        """What the operator should know of how it is read; empty where there is nothing to say."""
        return self._reader.remark

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[str]:
        """The names of the lines that were checked. Raises Invalid where they are no longer the same."""
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
        """How many names there are. Raises Invalid for the lines that are none."""
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
        """Why the entry is no name; empty where it is one."""
        if entry.problem:
            return entry.problem
        if not entry.name.isascii() and _NO_TEXT.search(entry.name):
            return f"is not {self._lines.encoding} text"
        try:
            check_written("", entry.name)
        except Invalid as exc:
            return exc.reason
        return ""
