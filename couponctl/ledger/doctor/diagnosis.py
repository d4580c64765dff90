"""What a look at one thing came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Every command works, but something may surprise."""
    WRONG = "wrong"
    """A command does not work."""
    SKIPPED = "skipped"
    """Not looked at, because something before it is wrong."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def skipped(*subjects: str, after: str) -> tuple[Diagnosis, ...]:
    """What could not be looked at any more, because of what is wrong with `after`."""
    return tuple(Diagnosis(subject, State.SKIPPED, f"not checked: see {after}") for subject in subjects)
