"""What may be stored, and what may be asked for; refused with Invalid before any SQL is sent."""

from __future__ import annotations

import unicodedata

from couponctl.errors import Invalid

MAX_LENGTH = 255
"""Characters of a coupon's name or a user id, as in the tables' varchar(255)."""

MAX_AMOUNT = 2**31 - 1
"""The largest number that PostgreSQL's integer holds."""


def check_amount(amount: int) -> None:
    """An amount is a stock of at least one that the column can hold."""
    if not 1 <= amount <= MAX_AMOUNT:
        # A number of thousands of digits is refused by str() itself (CVE-2020-10735).
        shown = str(amount) if abs(amount) < 10**20 else "that number"
        raise Invalid("amount", f"{shown} is not between 1 and {MAX_AMOUNT}")


def check_written(what: str, value: str) -> None:
    """A value about to be stored is 1 to 255 visible characters, and nobody trips over its ends."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= MAX_LENGTH and value == value.strip():
        return  # as nearly all are; the rest is looked at letter by letter
    check_asked(what, value)
    if not value.strip():
        raise Invalid(what, "is blank")
    if len(value) > MAX_LENGTH:
        raise Invalid(what, f"has {len(value)} characters; the maximum is {MAX_LENGTH}")
    _refuse(what, value, {"Cc", "Zl", "Zp"}, "")
    if value != value.strip():
        raise Invalid(what, "begins or ends with a space")


def check_asked(what: str, value: str) -> None:
    """A value to look for may be whatever an older database holds; NUL and surrogates no database can."""
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
        # Bytes of the command line that are not UTF-8 arrive as these (PEP 383).
        return "half a character, or bytes that are not UTF-8"
    return unicodedata.name(character, "a control character").lower()
