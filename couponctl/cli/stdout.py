"""Standard output with an exception of its own for failures, also when click writes its help."""

from __future__ import annotations

from typing import IO, Any


class OutputFailed(Exception):
    """An answer cannot be written: its reader is gone, or the disk is full."""

    def __init__(self, why: OSError) -> None:
        super().__init__(why)
        self.why = why


class Answers:
    """Raises OutputFailed where stdout raises OSError, which click would turn into exit code 1."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as exc:
            raise OutputFailed(exc) from exc

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as exc:
            raise OutputFailed(exc) from exc

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
