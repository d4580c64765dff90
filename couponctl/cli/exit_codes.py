"""Exit codes: an interface, so each number means one thing, for good."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from couponctl import errors
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    OK = 0
    UNEXPECTED = 1
    INVALID = 2
    UNAVAILABLE = 3
    TIMED_OUT = 4
    SOLD_OUT = 10
    ALREADY_CLAIMED = 11
    NOT_FOUND = 12
    EXISTS = 13
    VIOLATED = 20
    SLO_MISSED = 21
    INCONCLUSIVE = 22
    GUARDED = 23
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_BY_ERROR: dict[type[errors.CouponctlError], ExitCode] = {
    errors.CouponNotFound: ExitCode.NOT_FOUND,
    errors.ClaimNotSeen: ExitCode.NOT_FOUND,
    errors.CouponExists: ExitCode.EXISTS,
    errors.SoldOut: ExitCode.SOLD_OUT,
    errors.AlreadyClaimed: ExitCode.ALREADY_CLAIMED,
    errors.RefusedByDatabase: ExitCode.INVALID,
    errors.Invalid: ExitCode.INVALID,
    errors.RunNotFound: ExitCode.NOT_FOUND,
    errors.TimedOut: ExitCode.TIMED_OUT,
    errors.OutcomeUnknown: ExitCode.TIMED_OUT,
    errors.Unavailable: ExitCode.UNAVAILABLE,
    errors.Misconfigured: ExitCode.INVALID,
    errors.Guarded: ExitCode.GUARDED,
    errors.LedgerBroken: ExitCode.VIOLATED,
}

_BY_OUTCOME = {
    Outcome.UNKNOWN: ExitCode.TIMED_OUT,
    Outcome.TIMED_OUT: ExitCode.TIMED_OUT,
    Outcome.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Outcome.POOL_EXHAUSTED: ExitCode.UNAVAILABLE,
    Outcome.REFUSED: ExitCode.INVALID,
    Outcome.SOLD_OUT: ExitCode.SOLD_OUT,
}
"""Worst first. "Already claimed" is missing: that user has what the command was to bring about."""


def exit_code_for(error: errors.CouponctlError) -> ExitCode:
    """Return the code of the most specific class of the error that has one."""
    return next((_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), ExitCode.UNEXPECTED)


def exit_code_for_many(outcomes: Iterable[Outcome]) -> ExitCode:
    """Return the code for many claims at once: that of the worst."""
    seen = set(outcomes)
    return next((code for outcome, code in _BY_OUTCOME.items() if outcome in seen), ExitCode.OK)
