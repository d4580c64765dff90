"""Standard output, whose failures have a name of their own: whoever writes to it, click with its help too."""

from __future__ import annotations

from typing import IO, Any


class OutputFailed(Exception):
    """An answer cannot be written: its reader has gone, or the disk is full."""

    def __init__(self, why: OSError) -> None:
        super().__init__(why)
        self.why = why


class Answers:
    """Raises OutputFailed where stdout raises OSError, of which click would make an exit code of 1."""

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
