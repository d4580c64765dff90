"""The terminal below the console, which may stall or vanish."""

from __future__ import annotations

import select
from typing import IO, TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App

_MOST_FRAMES_WAITING = 4
"""Maximum number of writes queued for a slow terminal."""


class _Vanishing:
    """Discards what is written to a terminal that is gone.

    Textual's writer would end with an exception, and the event loop would wait forever for it to take a
    frame.
    """

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal
        self._gone = False

    def write(self, text: str) -> None:
        self._unless_gone(self._terminal.write, text)

    def flush(self) -> None:
        self._unless_gone(self._terminal.flush)

    def _unless_gone(self, act: Any, *arguments: str) -> None:
        if not self._gone:
            try:
                act(*arguments)
            except OSError:
                self._gone = True


class TerminalDriver(LinuxDriver):
    """Textual's own driver, with the state of the terminal."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        assert self._file is not None
        self._file = _Vanishing(self._file)  # type: ignore[assignment]

    @property
    def behind(self) -> bool:
        """Whether the terminal lags behind its output: writing more would block the event loop."""
        # There is no public way to see this coming; a test holds it to the version of Textual in use.
        writer = self._writer_thread
        return writer is not None and writer._queue.qsize() >= _MOST_FRAMES_WAITING  # noqa: SLF001

    @property
    def gone(self) -> bool:
        """Whether the terminal's window was closed."""
        terminal = select.poll()
        terminal.register(self.fileno, 0)
        return any(happened & select.POLLHUP for _, happened in terminal.poll(0))
