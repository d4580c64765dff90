"""What every error is made of, and those that have no family."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from couponctl.models import Outcome


@dataclass(eq=False)
class CouponctlError(Exception):
    """Something went wrong.

    Please report it.
    """

    code: ClassVar[str] = "error"
    """The word for it in JSON."""
    status: ClassVar[int] = 500
    """The HTTP status that a web shop would answer with."""
    outcome: ClassVar[Outcome | None] = None
    """The outcome of a claim that ended in this error."""

    def __init_subclass__(cls) -> None:
        if cls.outcome is not None:
            cls.code, cls.status = cls.outcome.value, cls.outcome.status

    @property
    def message(self) -> str:
        return self._sentences()[0]

    @property
    def hint(self) -> str:
        """The way out; empty where the message says it all."""
        return self._sentences()[1]

    @property
    def remedy(self) -> str:
        """The way out for whom `couponctl doctor` speaks to: without the advice to ask it."""
        rest = _ASK_THE_DOCTOR.sub("", self.hint).strip()
        return f"{rest}." if rest and rest != self.hint else rest

    def __str__(self) -> str:
        return " ".join(self._sentences()).strip()

    def _sentences(self) -> tuple[str, str]:
        message, hint = _templates(type(self).__doc__ or type(self).__name__)
        facts = vars(self)
        return message.format_map(facts), hint.format_map(facts)


_ASK_THE_DOCTOR = re.compile(r"(?:[;.] |^)`couponctl doctor`[^.;]*\.$")


@cache
def _templates(docstring: str) -> tuple[str, str]:
    """Message and hint before the facts go in; taken apart once, as a storm has hundreds of refusals."""
    message, _, hint = inspect.cleandoc(docstring).partition("\n\n")
    # Blanks are joined here and not afterwards: a name may hold two of them, and a GRANT must be exact.
    return " ".join(message.split()), " ".join(hint.split())


@dataclass(eq=False)
class Invalid(CouponctlError):
    """{what}: {reason}."""

    code = "invalid"
    status = 400
    what: str
    reason: str


@dataclass(eq=False)
class RunNotFound(CouponctlError):
    """There is no saved run "{name}".

    `couponctl runs list` shows what there is; `couponctl drill scale` makes one.
    """

    code = "run_not_found"
    status = 404
    name: str


@dataclass(eq=False)
class LedgerBroken(CouponctlError):
    """The ledger of {subject} does not balance: {detail}.

    Its claims are wrong, however fast; please report it.
    """

    code = "ledger_broken"
    subject: str
    detail: str


@dataclass(eq=False)
class Guarded(CouponctlError):
    """{refusal}.

    {way_out}
    """

    code = "guarded"
    status = 403
    refusal: str
    way_out: str
