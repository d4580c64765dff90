"""The log as a file: a line per record, appended in one piece, so that several processes can share it."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.errors import Invalid
from couponctl.logs import ROOT
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}

_STDERR = 2
_TAIL = 1 << 16
"""Bytes at the end of the file in which the last lines are looked for."""

_LINE = re.compile(r"[\d-]{10}T[\d:]{8}\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) couponctl[.\w]* \d+: .*")


class Log(logging.Handler):
    """Everything that couponctl's loggers say, in a file or on stderr, until it is closed."""

    def __init__(self, descriptor: int, level: int, path: Path | None = None) -> None:
        """`path` is that of the file, for people; None for stderr."""
        super().__init__(level)
        self.path = path
        self.descriptor = descriptor
        self.lost = 0
        """Records that could not be written since the last one that was."""
        self._begin_anew = False
        """The last line in the file is cut off."""
        root = logging.getLogger(ROOT)
        root.addHandler(self)
        root.setLevel(level)

    @property
    def on_terminal(self) -> bool:
        return os.isatty(self.descriptor)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; what cannot be written is counted, as no log is worth an error."""
        try:
            if self.lost:
                self._write(_line(record, f"{self.lost} records before this one could not be written."))
                self.lost = 0
            self._write(_line(record, record.getMessage()))
        except OSError:
            self.lost += 1

    def _write(self, line: str) -> None:
        data = (b"\n" if self._begin_anew else b"") + line.encode("utf-8", "backslashreplace")
        written = os.write(self.descriptor, data)
        self._begin_anew = written < len(data)
        if self._begin_anew:
            raise OSError

    def close(self) -> None:
        root = logging.getLogger(ROOT)
        if self in root.handlers:
            root.removeHandler(self)
            root.setLevel(logging.NOTSET)
            if self.descriptor != _STDERR:
                os.close(self.descriptor)
        super().close()


def _line(record: logging.LogRecord, message: str) -> str:
    # No traceback: its last line is the text of the error, which may quote what must not be in a log.
    at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f"{at}Z {record.levelname} {record.name} {record.process}: {safe(message)}\n"


def level_of(word: str) -> int:
    """Return the level of that name. Raises Invalid."""
    try:
        return LEVELS[word.strip().lower()]
    except KeyError:
        raise Invalid("COUPONCTL_LOG", "must be debug, info or warning") from None


def log_to_stderr(level: int) -> Log:
    return Log(_STDERR, level)


def log_to_file(path: str, level: int, *, named_by: str) -> Log:
    """Append to the file, which is created closed to others. Raises Invalid if it cannot be opened."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK  # a pipe that nobody reads is no log
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as exc:
        raise Invalid(named_by, f"{path} cannot be written ({exc.strerror})") from exc
    return Log(descriptor, level, Path(path).absolute())


def open_file() -> Log | None:
    """Return the file that this process logs to; None without one."""
    logs = (each for each in logging.getLogger(ROOT).handlers if isinstance(each, Log))
    return next((log for log in logs if log.path is not None), None)


def last_lines(path: Path, most: int) -> Iterator[str]:
    """Yield the log's last lines, each safe to show; lines that another program wrote are left out."""
    with suppress(OSError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
        yield from [safe(line) for line in lines if _LINE.fullmatch(line)][-most:]
