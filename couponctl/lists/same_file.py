"""Whether two paths name one file: a file that is read must not be overwritten, and none written twice."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

STREAM = "-"
"""Standard input where files are read, standard output where they are written."""


@dataclass(frozen=True, slots=True)
class Named:
    """A file, and what names it: an option, or other words for people."""

    by: str
    path: str


def check_distinct(reads: Iterable[Named], writes: Iterable[Named]) -> None:
    """Raise Invalid if a file would be written that is also read, or already written. Opens nothing.

    Standard output and standard error count as written; standard error into a file that is read is not
    refused, because the message would go there. Terminals, pipes and devices are exempt: they lose nothing.
    """
    read = {_file_open_at(0) if each.path == STREAM else _file_at(each.path): each.by for each in reads}
    read.pop(None, None)
    written: dict[Hashable, str] = {}
    for descriptor, stream in _STREAMS.items():
        file = _file_open_at(descriptor)
        if file in read and descriptor == 1:
            raise Invalid(stream, f"goes to the file that {read[file]} reads; send it to another")
        written[file] = stream
    written.pop(None, None)
    for each in writes:
        to_stdout = each.path == STREAM
        file = (_file_open_at(1) or STREAM) if to_stdout else _file_at(each.path)
        if file in read:
            raise Invalid(each.by, f"{each.path} is the file that {read[file]} reads; name another")
        if file in written and not (to_stdout and written[file] in _STREAMS.values()):
            where = _STREAMS[1] if to_stdout else each.path
            raise Invalid(each.by, f"{written[file]} writes to {where} already; name another")
        if file is not None:
            written[file] = each.by


_STREAMS = {1: "standard output", 2: "standard error"}


def _file_at(path: str) -> Hashable:
    """Return the same key for all names of one file; None for what is not a regular file."""
    try:
        return _file(Path(path).stat())
    except OSError:
        return os.path.realpath(path)  # it does not exist yet


def _file_open_at(descriptor: int) -> Hashable:
    try:
        return _file(os.fstat(descriptor))
    except OSError:
        return None


def _file(facts: os.stat_result) -> Hashable:
    return (facts.st_dev, facts.st_ino) if stat.S_ISREG(facts.st_mode) else None
