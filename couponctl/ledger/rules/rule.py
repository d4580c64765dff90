"""A rule of the tables, and its possible standings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    HELD = "held"
    MISSING = "missing"
    TOO_STRICT = "too_strict"
    """It forbids more: claims are refused that should succeed."""
    NOT_TOLD = "not_told"
    """Something may enforce it that cannot be judged without writing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One promise of the tables, and its standing."""

    promise: str
    standing: Standing
    problem: str = ""
    """What is wrong, or why it cannot be judged; empty if the rule is held."""
    remedy: str = ""
    """The DDL that fixes it; empty if nothing needs fixing, or it cannot be judged."""

    @property
    def words(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule that should hold, and its texts."""

    promise: str
    without: str
    """The problem if it is missing."""
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
