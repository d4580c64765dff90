"""The events of this session, each action with the equivalent command line."""

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
    """The equivalent shell command; empty if there is none."""
    tone: Tone = Tone.PLAIN

    @property
    def time(self) -> str:
        return f"{self.at:%H:%M:%S}"


class EventLog:
    """The latest events, oldest first."""

    def __init__(self, now: Callable[[], datetime], prefix: tuple[str, ...] = ()) -> None:
        """`prefix` names the database on every command line, as it was given to the console."""
        self._now = now
        self._prefix = prefix
        self._events: deque[Event] = deque(maxlen=_REMEMBERED)
        self.version = 0
        """Number of events so far."""

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)

    def add(self, words: str, *, command: tuple[str, ...] = (), tone: Tone = Tone.PLAIN) -> None:
        self._events.append(Event(self._now(), words, self.command_line(command), tone))
        self.version += 1

    def command_line(self, words: tuple[str, ...]) -> str:
        """Return these words as a shell command; empty for none."""
        return command_line(("couponctl", *self._prefix, *words)) if words else ""


def operands(*words: str) -> tuple[str, ...]:
    """Return the words, protected from being taken for options."""
    return ("--", *words) if any(word.startswith("-") for word in words) else words
