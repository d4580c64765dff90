"""Rules for values to store and values to look up; both raise Invalid before any SQL is sent."""

from __future__ import annotations

import unicodedata

from couponctl.errors import Invalid

MAX_LENGTH = 255
"""Maximum characters of a coupon's name or a user id, as in the tables' varchar(255)."""

MAX_AMOUNT = 2**31 - 1
"""The largest number that PostgreSQL's integer holds."""


def check_amount(amount: int) -> None:
    """Raise Invalid unless the amount is at least 1 and fits the column."""
    if not 1 <= amount <= MAX_AMOUNT:
        # str() itself refuses a number with thousands of digits (CVE-2020-10735).
        shown = str(amount) if abs(amount) < 10**20 else "that number"
        raise Invalid("amount", f"{shown} is not between 1 and {MAX_AMOUNT}")


def check_written(what: str, value: str) -> None:
    """Raise Invalid unless a value to store has 1 to 255 characters, no controls and no blanks around it."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= MAX_LENGTH and value == value.strip():
        return  # nearly all are; the others are checked character by character
    check_asked(what, value)
    if not value.strip():
        raise Invalid(what, "is blank")
    if len(value) > MAX_LENGTH:
        raise Invalid(what, f"has {len(value)} characters; the maximum is {MAX_LENGTH}")
    _refuse(what, value, {"Cc", "Zl", "Zp"}, "")
    if value != value.strip():
        raise Invalid(what, "begins or ends with a space")


def check_asked(what: str, value: str) -> None:
    """Raise Invalid for NUL or surrogates, which no database can hold; an older one may hold the rest."""
    if value.isascii() and "\0" not in value:
        return
    _refuse(what, value, {"Cs"}, ", which PostgreSQL cannot hold")
    if "\0" in value:
        raise Invalid(what, f"has a NUL at character {value.index(chr(0)) + 1}, which PostgreSQL cannot hold")


def _refuse(what: str, value: str, categories: set[str], why: str) -> None:
    for position, character in enumerate(value, start=1):
        if unicodedata.category(character) in categories:
            raise Invalid(
                what, f"has U+{ord(character):04X} ({_named(character)}) at character {position}{why}"
            )


def _named(character: str) -> str:
    if unicodedata.category(character) == "Cs":
        # Command-line bytes that are not UTF-8 arrive as surrogates (PEP 383).
        return "half a character, or bytes that are not UTF-8"
    return unicodedata.name(character, "a control character").lower()
