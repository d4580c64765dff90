"""What an SQLSTATE means that does not concern the connection, and how it is worded.

Every class of PostgreSQL's list is decided here (documentation, appendix A, and `errcodes.txt`); a trigger
may raise any of them, and codes of its own. Single codes are decided in `couponctl.postgres.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from couponctl.errors import (
    Contended,
    CouponctlError,
    KeyTaken,
    RefusedByDatabase,
    SchemaUnfit,
    ServerFailed,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Meaning(Enum):
    """What an error of a class means."""

    REFUSED = auto()
    """It breaks a rule of the database's own."""
    UNFIT = auto()
    """The tables are not as couponctl's SQL expects; in a function of the database: REFUSED."""
    PASSING = auto()
    """It may succeed the next time."""
    AGAIN = auto()
    """Aborted in favour of another transaction."""
    FAILED = auto()
    """The server itself is at fault."""
    OURS = auto()
    """Only couponctl's SQL can have caused it; in a function of the database: REFUSED."""


MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(("00", "01", "02", "09", "0A", "0F", "0L", "0P", "0Z", "10"), Meaning.REFUSED),
    **dict.fromkeys(("20", "21", "22", "23", "27", "2B", "2F", "38", "39", "44"), Meaning.REFUSED),
    **dict.fromkeys(("54", "55", "HV", "P0"), Meaning.REFUSED),
    **dict.fromkeys(("42", "3F"), Meaning.UNFIT),
    **dict.fromkeys(("08", "25", "26", "28", "3D", "53", "57"), Meaning.PASSING),
    **dict.fromkeys(("40", "72"), Meaning.AGAIN),
    **dict.fromkeys(("58", "F0", "XX"), Meaning.FAILED),
    **dict.fromkeys(("03", "0B", "24", "2D", "34", "3B"), Meaning.OURS),
}
"""By class: an SQLSTATE's first two characters."""

_UNIQUE = "23505"
_COMPUTED = "428C9"

_REASONS = {
    "0A000": "it cannot do that with these tables",
    "22000": "a value is not of the column's type, which couponctl sends text to",
    "22001": "it is longer than the column allows",
    "22003": "the number does not fit the column",
    "22007": "the column requires a date or time",
    "22008": "the date or time does not fit the column",
    "22021": "there is text that is not of the database's encoding",
    "22P02": "a value is not of the column's type, which couponctl sends text to",
    "22P05": "it has a character that the database's encoding does not have",
    "23502": "a column that couponctl does not fill requires a value",
    "23503": "what it refers to is not there",
    "23505": "another row has the same already",
    "23514": "a check forbids it",
    "23P01": "another row excludes it",
    _COMPUTED: "the database computes a column itself, and takes no value for it",
    "54000": "it is too large for an index or a row",
    "54001": "a function of the database calls itself too often",
    "55000": "the tables are not prepared for it, such as a published table without a replica identity",
}

_REASONS_BY_CLASS = {
    "22": "a value does not suit it",
    "23": "a rule of the tables forbids it",
    "38": "a function of the database failed",
    "39": "a function of the database failed",
    "44": "the view would not show it",
    "54": "a limit of the server is exceeded",
    "HV": "a foreign server that it depends on failed",
}

_RAISED = "P0001"
"""RAISE EXCEPTION in a function of the database: its message is meant for people."""

_MOST_WORDS = 300
"""Maximum characters of a message that are passed on."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """The parts of the server's error that matter here."""

    sqlstate: str
    message: str
    constraint: str | None
    column: str | None
    in_function: bool
    """Raised inside a function of the database, such as a trigger's."""


def error_for(said: ServerError) -> CouponctlError | None:
    """Return our error for it; None if it is a bug in couponctl."""
    meaning = MEANINGS.get(said.sqlstate[:2], Meaning.REFUSED)
    if said.sqlstate == _COMPUTED:
        meaning = Meaning.REFUSED
    if said.in_function and meaning in {Meaning.UNFIT, Meaning.OURS}:
        meaning = Meaning.REFUSED
    if meaning is Meaning.OURS:
        return None
    return _ERRORS[meaning](said)


def _refused(said: ServerError) -> RefusedByDatabase:
    if said.sqlstate == _UNIQUE:
        return KeyTaken(_reason(said), key=said.constraint or "")
    return RefusedByDatabase(_reason(said))


def _reason(said: ServerError) -> str:
    own_words = " ".join(said.message.split()).rstrip(".")[:_MOST_WORDS]
    if said.sqlstate == _RAISED or said.sqlstate[:2] not in MEANINGS:
        return own_words or "it gives no reason"
    reason = _REASONS.get(said.sqlstate) or _REASONS_BY_CLASS.get(said.sqlstate[:2])
    if reason is None or (said.in_function and said.sqlstate not in _REASONS):
        return f"a function of its own failed: {own_words}" if said.in_function else own_words
    names = [name for name in (said.column, said.constraint) if name and said.sqlstate != _UNIQUE]
    return f"{reason} ({', '.join(names)})" if names else reason


_ERRORS: dict[Meaning, Callable[[ServerError], CouponctlError]] = {
    Meaning.REFUSED: _refused,
    Meaning.UNFIT: lambda _: SchemaUnfit(),
    Meaning.PASSING: lambda _: Unavailable(),
    Meaning.AGAIN: lambda _: Contended(),
    Meaning.FAILED: lambda said: ServerFailed(" ".join(said.message.split()).rstrip(".")[:_MOST_WORDS]),
}
