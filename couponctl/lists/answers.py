"""The file of answers, a line of JSON each, which also lets an interrupted run continue."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from contextlib import ExitStack
from enum import StrEnum
from io import FileIO
from typing import TYPE_CHECKING, Any, Self

from couponctl.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDOUT = "-"

_BLOCK = 1 << 20
_LONGEST = 1 << 16
"""Bytes: far more than the longest answer has."""


class Existing(StrEnum):
    """What to do with answers that the file already has."""

    REFUSE = "refuse"
    """Do nothing: somebody may need them."""
    RESUME = "resume"
    """Append new answers to them."""
    OVERWRITE = "overwrite"
    """Replace them with the first new answer."""


class AnswerFile:
    """Answers in the order of the users, each a line of JSON with the `user_id`.

    The file is unchanged until the first answer is written.
    """

    def __init__(self, path: str, existing: Existing = Existing.REFUSE) -> None:
        """Open `path`, or standard output for `-`. Raises Invalid if the file cannot be used this way."""
        self.path = path
        self.answered = 0
        """Number of answers that it holds and keeps."""
        self.unwritable: Invalid | None = None
        """Why an answer could not be written; none is written after that."""
        self._last = ""
        self._kept: int | None = None
        """Bytes of those answers, to cut off the rest; None if nothing is to be cut."""
        try:
            self._file = _opened(path, existing)
        except OSError as exc:
            raise self._cannot("written", exc) from exc
        with ExitStack() as closing:
            closing.callback(self._file.close)
            self._find_the_end(existing)
            closing.pop_all()

    @property
    def resumable(self) -> bool:
        """Whether another run can continue where this one ends."""
        return self.path != STDOUT and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def unanswered(self, users: Iterable[str]) -> Iterator[str]:
        """Return the users after those with an answer. Raises Invalid if the answers are of another list."""
        remaining = iter(users)
        user = ""
        for number in range(1, self.answered + 1):
            try:
                user = next(remaining)
            except StopIteration:
                words = f"{self.path} has {self.answered:,} answers, and the list {number - 1:,} users"
                raise Invalid("--resume", f"{words}: it belongs to another list") from None
        if user != self._last:
            words = f'the last answer in {self.path} is for "{self._last}", number {self.answered:,} of the'
            raise Invalid("--resume", f'{words} list is "{user}": it belongs to another list')
        return remaining

    def write(self, answers: Iterable[dict[str, Any]]) -> None:
        """Append answers; if that fails, `unwritable` says why."""
        if self.unwritable is not None:
            return
        lines = "".join(json.dumps(answer) + "\n" for answer in answers).encode("ascii")
        try:
            if self._kept is not None:
                self._file.truncate(self._kept)
                self._file.seek(self._kept)
                self._kept = None
            rest = memoryview(lines)
            while rest:
                rest = rest[_written(self._file, rest) :]
        except OSError as exc:
            self.unwritable = self._cannot("written", exc)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _find_the_end(self, existing: Existing) -> None:
        if not self.resumable:
            if existing is Existing.RESUME:
                raise Invalid("--resume", f"{self.path} is not a file of answers")
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Invalid("--results", f"{self.path} is being written by another command") from None
        size = os.fstat(self._file.fileno()).st_size
        if not size:
            return
        match existing:
            case Existing.REFUSE:
                way_out = "--resume continues after what it holds, --overwrite replaces it"
                raise Invalid("--results", f"{self.path} is not empty: {way_out}")
            case Existing.OVERWRITE:
                self._kept = 0
            case Existing.RESUME:
                self._read_answers()

    def _read_answers(self) -> None:
        """Count the whole lines and read the user of the last one; half a line at the end will be cut off."""
        read = self._kept = 0
        try:
            self._file.seek(0)
            while block := self._file.read(_BLOCK):
                self.answered += block.count(b"\n")
                if (last := block.rfind(b"\n")) >= 0:
                    self._kept = read + last + 1
                read += len(block)
            begin = max(0, self._kept - _LONGEST)
            self._file.seek(begin)
            lines = self._file.read(self._kept - begin).splitlines()
        except OSError as exc:
            raise self._cannot("read", exc) from exc
        if not self.answered:
            return
        try:
            self._last = str(json.loads(lines[-1])["user_id"])
        except (ValueError, LookupError, TypeError, RecursionError):
            reason = f"{self.path} line {self.answered:,} is not an answer: this is another file"
            raise Invalid("--resume", reason) from None

    def _cannot(self, be: str, exc: OSError) -> Invalid:
        where = "standard output" if self.path == STDOUT else self.path
        return Invalid("--results", f"{where} cannot be {be} ({exc.strerror or 'no reason'})")


def _opened(path: str, existing: Existing) -> FileIO:
    """Open unbuffered: a failed write is known at once, and not repeated when the file closes."""
    if path == STDOUT:
        return FileIO(1, "w", closefd=False)
    resume = existing is Existing.RESUME
    flags = (os.O_RDWR if resume else os.O_WRONLY) | os.O_CREAT | os.O_CLOEXEC
    return FileIO(os.open(path, flags, 0o666), "r+" if resume else "w")


def _written(file: FileIO, rest: memoryview) -> int:
    number = file.write(rest)
    if number is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return number
