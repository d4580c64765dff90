"""What a rule is, and how it can stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    HELD = "held"
    MISSING = "missing"
    TOO_STRICT = "too_strict"
    """It forbids more: claims are refused that should be won."""
    NOT_TOLD = "not_told"
    """Something may keep it that cannot be judged by looking."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise of the tables, and how it stands."""

    promise: str
    standing: Standing
    problem: str = ""
    """What is wrong, or why it cannot be told; empty where it is held."""
    remedy: str = ""
    """The DDL that mends it; empty where there is nothing to mend, or it cannot be told."""

    @property
    def words(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule that should hold, and what is said of it."""

    promise: str
    without: str
    """What its absence means."""
    remedy: str

    @property
    def held(self) -> Rule:
        return Rule(self.promise, Standing.HELD)

    @property
    def missing(self) -> Rule:
        return Rule(self.promise, Standing.MISSING, self.without, self.remedy)

    def too_strict(self, problem: str, remedy: str) -> Rule:
        return Rule(self.promise, Standing.TOO_STRICT, problem, remedy)

    def not_told(self, why: str) -> Rule:
        return Rule(self.promise, Standing.NOT_TOLD, f"unknown whether {self.promise}: {why}")
