"""What may be written, and what may be asked for: every sentence names the character and its place."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.errors import Invalid
from couponctl.input_rules import check_amount, check_asked, check_written
from couponctl.present import safe

GOOD = [
    "a",
    "x" * 255,
    "O'Brien; DROP TABLE claims;--",
    "[red]x[/red]",
    "新年快乐",
    "שלום",
    "\U0001f469\u200d\U0001f680",
    "a b",
    "{x}%s",
]


@pytest.mark.parametrize("value", GOOD)
def test_whatever_is_visible_may_be_written(value: str) -> None:
    check_written("coupon name", value)
    check_asked("coupon name", value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is blank"),
        ("   ", "is blank"),
        ("\u2003", "is blank"),
        ("x" * 256, "has 256 characters; the maximum is 255"),
        (" a", "begins or ends with a space"),
        ("a\u00a0", "begins or ends with a space"),
        ("ab\0c", "NUL at character 3"),
        ("a\x1b[31m", "U+001B"),
        ("a\nb", "U+000A (a control character) at character 2"),
        ("a\x9bb", "U+009B"),
        ("a\u2028b", "U+2028 (line separator) at character 2"),
        ("a\u2029b", "U+2029 (paragraph separator)"),
        ("ab\ud800", "U+D800 (half a character, or bytes that are not UTF-8) at character 3"),
    ],
)
def test_what_nobody_could_find_again_is_refused(value: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_written("coupon name", value)

    assert reason in str(caught.value)


@pytest.mark.parametrize("value", ["", " a ", "a\nb", "a\x1b", "x" * 10_000, "\u2028"])
def test_what_an_older_database_may_hold_can_be_asked_for(value: str) -> None:
    check_asked("coupon name", value)


@pytest.mark.parametrize("value", ["a\0", "\ud800"])
def test_what_no_database_can_hold_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match="PostgreSQL cannot hold"):
        check_asked("coupon name", value)


@pytest.mark.parametrize("amount", [1, 2, 2**31 - 1])
def test_amounts_that_are_a_stock(amount: int) -> None:
    check_amount(amount)


@pytest.mark.parametrize(
    "amount", [0, -1, 2**31, 2**63, -(10**9999), 10**9999], ids=["0", "-1", "2^31", "2^63", "-huge", "huge"]
)
def test_amounts_that_are_none(amount: int) -> None:
    with pytest.raises(Invalid, match="is not between 1 and 2147483647"):
        check_amount(amount)


@given(st.text(st.characters()))
def test_safe_text_is_one_line_and_moves_no_cursor(text: str) -> None:
    shown = safe(text)

    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert safe(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b]52;c;UFdORUQ=\x07", r"\u{1b}]52;c;UFdORUQ=\u{7}"),
        ("abc\u202etxt", r"abc\u{202e}txt"),
        ("a\r\nb", r"a\u{d}\u{a}b"),
        ("\x9b31m", r"\u{9b}31m"),
        ("[red]x[/red]", "[red]x[/red]"),
        ("\ud800", r"\u{d800}"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    assert safe(text) == shown
