"""Everything that couponctl raises on purpose, grouped by who must act.

CouponctlError
├── Refused             the sale said no
│   ├── CouponNotFound
│   ├── CouponExists
│   ├── SoldOut
│   └── AlreadyClaimed
├── Invalid             the input is wrong
├── RunNotFound         no kept run is named so
├── Unavailable         the database cannot answer now
│   ├── Unreachable
│   ├── TooFewFiles
│   ├── PoolExhausted
│   ├── TimedOut
│   ├── Contended
│   ├── NoHeadRoom
│   └── OutcomeUnknown
├── Misconfigured       the operator must fix something
│   ├── BadSettings
│   ├── SchemaMissing
│   ├── NoPrivilege
│   │   └── MayNotDrill
│   ├── LoginRefused
│   ├── ReadOnlyServer
│   └── RuleViolated
├── LedgerBroken        a bench found wrong claims
└── Guarded             refused by a guard

The first paragraph of a class's docstring is its message, the rest is the way out; `{facts}` in it
are the fields of the error. No sentence holds SQL, a SQLSTATE, the name of a driver or a password.
"""

from __future__ import annotations

import errno
import inspect
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from couponctl.models import Outcome


@dataclass(eq=False)
class CouponctlError(Exception):
    """Something went wrong.

    Run `couponctl doctor` to see what.
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

    def __str__(self) -> str:
        return " ".join(self._sentences()).strip()

    def _sentences(self) -> tuple[str, str]:
        message, hint = _templates(type(self).__doc__ or type(self).__name__)
        facts = vars(self)
        return message.format_map(facts), hint.format_map(facts)


@cache
def _templates(docstring: str) -> tuple[str, str]:
    """Message and hint before the facts go in; taken apart once, as a storm has hundreds of refusals."""
    message, _, hint = inspect.cleandoc(docstring).partition("\n\n")
    # Blanks are joined here and not afterwards: a name may hold two of them, and a GRANT must be exact.
    return " ".join(message.split()), " ".join(hint.split())


class Refused(CouponctlError):
    """The sale said no."""


@dataclass(eq=False)
class CouponNotFound(Refused):
    """There is no coupon "{name}".

    `couponctl list` shows what there is; `couponctl create NAME AMOUNT` makes one.
    """

    outcome = Outcome.NOT_FOUND
    name: str


@dataclass(eq=False)
class CouponExists(Refused):
    """A coupon "{name}" exists already.

    `couponctl show NAME` shows it; choose another name for a new one.
    """

    code = "exists"
    status = 409
    name: str


@dataclass(eq=False)
class SoldOut(Refused):
    """ "{name}" is sold out: "{user_id}" got none.

    `couponctl show NAME` lists who did.
    """

    outcome = Outcome.SOLD_OUT
    name: str
    user_id: str


@dataclass(eq=False)
class AlreadyClaimed(Refused):
    """ "{user_id}" has claimed "{name}" already.

    One claim a user: nothing was taken from the stock this time.
    """

    outcome = Outcome.ALREADY_CLAIMED
    name: str
    user_id: str


@dataclass(eq=False)
class Invalid(CouponctlError):
    """{what}: {reason}."""

    code = "invalid"
    status = 400
    what: str
    reason: str


@dataclass(eq=False)
class RunNotFound(CouponctlError):
    """There is no kept run "{name}".

    `couponctl runs list` shows what there is; `couponctl drill scale` makes one.
    """

    code = "run_not_found"
    status = 404
    name: str


class Unavailable(CouponctlError):
    """The database cannot answer now.

    Try again; `couponctl doctor` says what is wrong.
    """

    outcome = Outcome.UNAVAILABLE


@dataclass(eq=False)
class Unreachable(Unavailable):
    """The database cannot be reached: {reason}.

    Check that the server runs and the address is right; `couponctl doctor` looks closer.
    """

    outcome = Outcome.UNAVAILABLE
    reason: str


class TooFewFiles(Unavailable):
    """This process may open no more files: too many open files for its limit.

    Raise it, as with `ulimit -n 1024`, and try again.
    """

    outcome = Outcome.UNAVAILABLE

    @classmethod
    def explains(cls, exc: BaseException | None) -> bool:
        """Whether this is what an error comes from."""
        while exc is not None:
            if isinstance(exc, OSError) and exc.errno in {errno.EMFILE, errno.ENFILE}:
                return True
            exc = exc.__cause__ or exc.__context__
        return False


@dataclass(eq=False)
class PoolExhausted(Unavailable):
    """All {size} connections of the pool were busy for {seconds:g} s, and nothing was sent.

    Try again, or give the pool more connections: COUPONCTL_POOL_SIZE.
    """

    outcome = Outcome.POOL_EXHAUSTED
    size: int
    seconds: float


@dataclass(eq=False)
class TimedOut(Unavailable):
    """The database took too long: {reason}; the work was rolled back.

    Try again; `couponctl stats` shows who waits for a lock.
    """

    outcome = Outcome.TIMED_OUT
    reason: str


class Contended(Unavailable):
    """The database broke this work off in favour of another that ran against it; it was rolled back.

    Try again.
    """

    outcome = Outcome.UNAVAILABLE


@dataclass(eq=False)
class NoHeadRoom(Unavailable):
    """The drill needs {needed} connections, and {free} of the {limit} that {limited_by} allows are free.

    Lower --pool-size, raise {limited_by}, or wait until others have left; nothing was created.
    """

    outcome = Outcome.UNAVAILABLE
    needed: int
    free: int
    limit: int
    limited_by: str


class OutcomeUnknown(Unavailable):
    """The connection was lost before the answer came, so it is not known whether the work was done.

    Run the same command again: it is safe, nothing is done twice.
    """

    outcome = Outcome.UNKNOWN


class Misconfigured(CouponctlError):
    """The operator must fix something.

    Run `couponctl doctor` to see what.
    """

    code = "misconfigured"


@dataclass(eq=False)
class BadSettings(Misconfigured):
    """{problem}.

    {way_out}
    """

    problem: str
    way_out: str


class SchemaMissing(Misconfigured):
    """This database has no coupons and claims tables, or they lack a column.

    `couponctl db init` creates the tables; `couponctl doctor` says which database this is.
    """

    code = "schema_missing"


class NoPrivilege(Misconfigured):
    """The role may not do this here.

    `couponctl doctor` names the GRANT that is missing.
    """

    code = "no_privilege"
    status = 403


@dataclass(eq=False)
class MayNotDrill(NoPrivilege):
    """Role {role} may not create a schema in this database, and a drill works in one of its own.

    Its owner can allow it: {grant}
    """

    role: str
    grant: str
    """The statement, names quoted as SQL wants them."""


class LoginRefused(Misconfigured):
    """The server refuses the login: wrong role, password or database name.

    Check user and database, and the password in PGPASSWORD, ~/.pgpass or the service file.
    """

    code = "login_refused"
    status = 401


class ReadOnlyServer(Misconfigured):
    """This server is read-only: a standby, or set so.

    Point couponctl at the primary.
    """

    code = "read_only_server"


class RuleViolated(Misconfigured):
    """A rule of the database itself refused the change, so nothing was written.

    `couponctl verify` holds the counters against the claims.
    """

    code = "rule_violated"
    status = 409


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
