"""What the sale and the input rules refuse: one line with the way out, and an exit code of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Answer, Couponctl
    from tests.support.clones import Clones


@pytest.fixture(scope="module")
def database_url(clones: Clones) -> Iterator[str]:
    """One for all: none of these tests minds what another has left."""
    with clones.database() as url:
        yield url


def sentence_of(answer: Answer) -> str:
    """The one line on stderr, where nothing is on stdout."""
    assert answer.out == ""
    assert answer.err.startswith("couponctl: ")
    assert answer.err.count("\n") == 1
    return answer.err.removeprefix("couponctl: ").rstrip("\n")


def test_an_unknown_coupon_is_told_with_the_way_to_the_known_ones(couponctl: Couponctl) -> None:
    for command in (("show", "NEVER"), ("claim", "NEVER", "alice"), ("claim", "NEVER", "alice", "bob")):
        answer = couponctl(*command)

        assert sentence_of(answer) == (
            'There is no coupon "NEVER". '
            "`couponctl list` shows what there is; `couponctl create NAME AMOUNT` makes one."
        )
        assert answer.exit_code == 12


@pytest.fixture
def gone(couponctl: Couponctl) -> None:
    """A coupon whose only unit went to “winner”."""
    couponctl("create", "GONE", "1")
    couponctl("claim", "GONE", "winner")


@pytest.mark.usefixtures("gone")
def test_a_sold_out_coupon_is_told_to_who_comes_late(couponctl: Couponctl) -> None:

    answer = couponctl("claim", "GONE", "late")

    assert (
        sentence_of(answer)
        == '"GONE" is sold out: "late" got none. `couponctl show NAME` lists the users who have one.'
    )
    assert answer.exit_code == 10


@pytest.mark.usefixtures("gone")
def test_a_winner_who_claims_again_hears_so_even_after_the_last_unit(couponctl: Couponctl) -> None:
    answer = couponctl("claim", "GONE", "winner")

    assert sentence_of(answer).startswith('"winner" has claimed "GONE" already.')
    assert answer.exit_code == 11


def test_a_name_that_is_taken_cannot_be_created_again(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")

    answer = couponctl("create", "SPRING", "5")

    assert sentence_of(answer).startswith('A coupon "SPRING" exists already. `couponctl show NAME`')
    assert answer.exit_code == 13


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "coupon name: is blank."),
        ("   ", "coupon name: is blank."),
        (" SPRING", "coupon name: begins or ends with a space."),
        ("SPRING\u00a0", "coupon name: begins or ends with a space."),
        ("x" * 256, "coupon name: has 256 characters; the maximum is 255."),
        ("a\nb", "coupon name: has U+000A (a control character) at character 2."),
        ("a\x1b[31mb", "coupon name: has U+001B (a control character) at character 2."),
        ("ab\u2028", "coupon name: has U+2028 (line separator) at character 3."),
        ("a\0b", "coupon name: has a NUL at character 2, which PostgreSQL cannot hold."),
        (
            "a\udcffb",
            (
                "coupon name: has U+DCFF (half a character, or bytes that are not UTF-8) at character 2, "
                "which PostgreSQL cannot hold."
            ),
        ),
    ],
    ids=ascii,
)
def test_a_name_that_would_trip_somebody_up_is_refused(couponctl: Couponctl, name: str, problem: str) -> None:
    answer = couponctl("create", name, "5")

    assert sentence_of(answer) == problem
    assert answer.exit_code == 2


@pytest.mark.parametrize("command", [("show", "{}"), ("claim", "{}", "alice"), ("verify", "{}")])
def test_what_no_database_can_hold_is_not_looked_for(couponctl: Couponctl, command: tuple[str, ...]) -> None:
    for impossible, word in (("a\0b", "NUL"), ("a\ud800b", "U+D800")):
        answer = couponctl(*(argument.format(impossible) for argument in command))

        assert word in sentence_of(answer)
        assert answer.exit_code == 2


@pytest.mark.parametrize("amount", ["0", "-1", "-0", "2147483648", "9223372036854775808", "-2147483649"])
def test_an_amount_that_cannot_be_a_stock_is_refused(couponctl: Couponctl, amount: str) -> None:
    answer = couponctl("create", "SPRING", amount)

    assert sentence_of(answer) == f"amount: {int(amount)} is not between 1 and 2147483647."
    assert answer.exit_code == 2


def test_an_amount_of_thousands_of_digits_is_refused_without_repeating_it(couponctl: Couponctl) -> None:
    for digits in ("9" * 30, "9" * 5000, "-" + "9" * 5000):
        answer = couponctl("create", "SPRING", digits)

        assert sentence_of(answer) == "amount: that number is not between 1 and 2147483647."
        assert answer.exit_code == 2


@pytest.mark.parametrize("amount", ["abc", "1.5", "1e3", "", "0x10"])
def test_an_amount_that_is_no_number_is_refused(couponctl: Couponctl, amount: str) -> None:
    answer = couponctl("create", "SPRING", amount)

    assert f"'{amount}' is not a valid integer" in sentence_of(answer)
    assert answer.exit_code == 2


def test_the_largest_amount_can_be_created(couponctl: Couponctl) -> None:
    assert couponctl("create", "LARGEST", "2147483647").exit_code == 0


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("bogus",), "No such command 'bogus' (see `couponctl --help`)."),
        (
            ("list", "--bogus"),
            "No such option '--bogus'. Did you mean '--verbose'? (see `couponctl list --help`).",
        ),
        (("show",), "Missing argument 'NAME' (see `couponctl show --help`)."),
        (("claim", "SPRING"), "no user: name one, or give --from FILE (see `couponctl claim --help`)."),
        (("show", "A", "B"), "Got unexpected extra argument (B) (see `couponctl show --help`)."),
        (("create", "A", "-x"), "No such option '-x' (see `couponctl create --help`)."),
        (("list", "--limit", "0"), "0 is not in the range 1<=x<=10000 (see `couponctl list --help`)."),
        (("drill", "bogus"), "No such command 'bogus' (see `couponctl drill --help`)."),
        (("db", "bogus"), "No such command 'bogus' (see `couponctl db --help`)."),
    ],
    ids=" ".join,
)
def test_a_slip_of_the_pen_is_told_with_the_way_to_the_help(
    couponctl: Couponctl, command: tuple[str, ...], problem: str
) -> None:
    answer = couponctl(*command)

    assert sentence_of(answer).startswith("usage: ")
    assert sentence_of(answer).endswith(problem)
    assert answer.exit_code == 2


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize(
    ("command", "exit_code", "code", "status"),
    [
        (("show", "NEVER"), 12, "not_found", 404),
        (("claim", "NEVER", "alice"), 12, "not_found", 404),
        (("claim", "GONE", "late"), 10, "sold_out", 400),
        (("claim", "GONE", "winner"), 11, "already_claimed", 409),
        (("create", "GONE", "5"), 13, "exists", 409),
        (("create", "SPRING", "0"), 2, "invalid", 400),
        (("create", "SPRING", "-1"), 2, "invalid", 400),
        (("create", "SPRING", "-1", "--no-color"), 2, "invalid", 400),
        (("create", "a\0b", "5"), 2, "invalid", 400),
        (("list", "--bogus"), 2, "invalid", 400),
    ],
)
def test_programs_get_every_refusal_as_a_document(
    couponctl: Couponctl, command: tuple[str, ...], exit_code: int, code: str, status: int
) -> None:
    answer = couponctl("--json", *command)

    error = json.loads(answer.out)["error"]
    assert (answer.exit_code, error["code"], error["status"]) == (exit_code, code, status)
    assert list(error) == ["code", "message", "hint", "status"]
    assert answer.err == f"couponctl: {error['message']} {error['hint']}".strip() + "\n"
