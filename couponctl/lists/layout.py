"""The layout of a list: a name per line, a column of a table, or JSON lines."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from couponctl.errors import Invalid
from couponctl.present import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from couponctl.lists.lines import Line


class Layout(StrEnum):
    """The format of the file."""

    PLAIN = "plain"
    """A name per line, whatever it looks like."""
    CSV = "csv"
    """A table whose first line names its columns; the delimiter is a comma, a semicolon or a tab."""
    JSONL = "jsonl"
    """A JSON object per line."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The operator's options for reading a list."""

    layout: Layout | None = None
    """None to decide by the file's name and its first line."""
    column: str | None = None
    """The column or key that holds the names; None for the usual one."""


class Entry(NamedTuple):
    """The name in one line of the list, or one row of the table."""

    line: int
    name: str
    problem: str = ""
    """Why there is no name; empty if there is one."""


class Reader(Protocol):
    """Reads one list."""

    @property
    def remark(self) -> str:
        """What the operator should know about how it is read; empty if nothing."""

    def entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        """Yield the entries of the lines; empty lines are skipped. Raises Invalid."""


def reader_for(where: str, first_line: str, asked: Asked, usual_column: str) -> Reader:
    """Return the reader for this first line. Raises Invalid if a requested table does not have the column.

    Without a request, a list is read as a table only if it surely is one: its first line has several
    columns, the usual one among them.
    """
    column = asked.column or usual_column
    if asked.layout is Layout.JSONL or (asked.layout is None and where.lower().endswith(_JSON_ENDINGS)):
        return _JsonLines(column)
    if asked.layout is Layout.PLAIN:
        return _Plain()
    wanted = asked.layout is Layout.CSV or asked.column is not None
    table = _table_named_by(where, first_line, column, least_columns=1 if wanted else 2)
    if table is None and wanted:
        raise Invalid(f"{where} line 1", f'has no column "{column}"')
    return table or _Unmistakable(where)


_JSON_ENDINGS = (".jsonl", ".ndjson")

_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
"""Without `|`, which occurs in the user ids of identity providers."""

_HEADINGS = frozenset({"user_id", "userid", "user", "email", "name", "coupon"})
"""First lines that are the heading of a column rather than a name."""


@dataclass(frozen=True, slots=True)
class _Plain:
    remark: str = ""

    def entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        return (Entry(number, text) for number, text in lines if text)


@dataclass(frozen=True, slots=True)
class _Unmistakable:
    """A plain list that must not look like a table: else the table's heading would get a unit."""

    where: str
    remark: str = ""

    def entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        headings = _HEADINGS
        for entry in _Plain().entries(lines):
            if doubt := _doubt(entry.name, headings):
                way_out = "--column NAME reads that column of a table, --plain takes every line as it is"
                raise Invalid(f"{self.where} line {entry.line}", f"{doubt}; {way_out}")
            headings = frozenset()
            yield entry


def _doubt(text: str, headings: frozenset[str]) -> str:
    """Return why this may not be a name; empty if there is no doubt."""
    for delimiter, words in _DELIMITERS.items():
        if delimiter in text:
            return f"has {words} in it, as a table has"
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return "is in quotes, as the cells of a table may be"
    return f'is "{text}", like the heading of a table' if text.casefold() in headings else ""


@dataclass(frozen=True, slots=True)
class _Table:
    delimiter: str
    columns: Sequence[str]
    place: int
    """Index of the column with the names."""

    @property
    def remark(self) -> str:
        others = [column for place, column in enumerate(self.columns) if place != self.place]
        ignored = f", {', '.join(others)} ignored" if others else ""
        return f"read by its column {self.columns[self.place]}{ignored}"

    def entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        rows = csv.reader((f"{line.text}\n" for line in lines), delimiter=self.delimiter, strict=True)
        heading, begins = True, 1
        try:
            for row in rows:
                if row and not heading:
                    yield self._entry(begins, row)
                heading = heading and not row
                begins = rows.line_num + 1
        except csv.Error as exc:
            yield Entry(begins, "", f"is not CSV: {exc}")

    def _entry(self, line: int, row: Sequence[str]) -> Entry:
        if len(row) != len(self.columns):
            return Entry(
                line, "", f"has {counted(len(row), 'column')} where the first line has {len(self.columns)}"
            )
        name = row[self.place]
        return Entry(line, name, "" if name else f"has no {self.columns[self.place]}")


def _table_named_by(where: str, first_line: str, column: str, *, least_columns: int) -> _Table | None:
    """Return a reader if the first line has this column, by any of the delimiters."""
    wanted = column.strip().casefold()
    for delimiter in _DELIMITERS:
        try:
            columns = next(csv.reader([first_line], delimiter=delimiter, strict=True), [])
        except csv.Error:
            continue
        columns = [name.strip() for name in columns]
        places = [place for place, name in enumerate(columns) if name.casefold() == wanted]
        if len(places) > 1:
            raise Invalid(f"{where} line 1", f'names the column "{column}" {len(places)} times')
        if places and len(columns) >= least_columns:
            return _Table(delimiter, columns, places[0])
    return None


@dataclass(frozen=True, slots=True)
class _JsonLines:
    key: str
    remark: str = ""

    def entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        return (self._entry(number, text) for number, text in lines if text.strip())

    def _entry(self, line: int, text: str) -> Entry:
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return Entry(line, "", "is not JSON")
        if not isinstance(document, dict) or self.key not in document:
            return Entry(line, "", f"has no {self.key}")
        value = document[self.key]
        if isinstance(value, bool) or not isinstance(value, str | int):
            return Entry(line, "", f"has a {self.key} that is not text")
        return Entry(line, str(value))
