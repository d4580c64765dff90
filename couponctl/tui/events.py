"""What happened in this session, each action with the command line that does the same."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.present import command_line
from couponctl.tui.text import Tone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log."""

    at: datetime
    words: str
    command: str = ""
    """What to type in a shell for the same; empty where nothing would do it."""
    tone: Tone = Tone.PLAIN

    @property
    def time(self) -> str:
        return f"{self.at:%H:%M:%S}"


class EventLog:
    """The latest events, oldest first."""

    def __init__(self, now: Callable[[], datetime], prefix: tuple[str, ...] = ()) -> None:
        """`prefix` names the database on every command line, as the console was given it."""
        self._now = now
        self._prefix = prefix
        self._events: deque[Event] = deque(maxlen=_REMEMBERED)
        self.version = 0
        """Counts the events."""

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)

    def add(self, words: str, *, command: tuple[str, ...] = (), tone: Tone = Tone.PLAIN) -> None:
        self._events.append(Event(self._now(), words, self.command_line(command), tone))
        self.version += 1

    def command_line(self, words: tuple[str, ...]) -> str:
        """How a shell is told these words; empty for none."""
        return command_line(("couponctl", *self._prefix, *words)) if words else ""


def operands(*words: str) -> tuple[str, ...]:
    """Words that no command may take for options."""
    return ("--", *words) if any(word.startswith("-") for word in words) else words
