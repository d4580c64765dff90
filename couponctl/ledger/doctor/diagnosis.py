"""The result of one of the doctor's stages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Every command works, but something may be unexpected."""
    WRONG = "wrong"
    """A command does not work."""
    SKIPPED = "skipped"
    """Not checked, because something before it is wrong."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One finding about one subject."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


def skipped(*subjects: str, after: str) -> tuple[Diagnosis, ...]:
    """Return the diagnoses of subjects that were not checked because `after` is wrong."""
    return tuple(Diagnosis(subject, State.SKIPPED, f"not checked: see {after}") for subject in subjects)
