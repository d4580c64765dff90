"""Names that attack the terminal: planted behind couponctl's back, shown spelled out, lossless in JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from couponctl.present import safe
from tests.support.programs import finished, shown, terminal
from tests.support.sessions import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Couponctl
    from tests.support.clones import Clones

HOSTILE = {
    "colour": "a\x1b[31mb",
    "clipboard (OSC 52)": "a\x1b]52;c;UFdORUQ=\x07b",
    "link (OSC 8)": "a\x1b]8;;http://e\x1b\\b",
    "carriage return": "a\rb",
    "backspace": "a\x08b",
    "8-bit CSI": "a\x9b31mb",
    "right to left": "a\u202eb",
    "zero width": "a\u200bb",
    "newline": "a\nb",
    "markup": "[red]x[/red]",
    "CJK": "春節特惠",
    "emoji": "🎁x",
    "dashes": "--json",
    "quotes": "a'b\"; DROP TABLE claims; --",
}
INVISIBLE = {key: name for key, name in HOSTILE.items() if safe(name) != name}
OURS = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def database_url(clones: Clones) -> Iterator[str]:
    """One for all: none of these tests minds what another has left."""
    with clones.database() as url:
        yield url


@pytest.fixture(scope="module")
def planted(database_url: str) -> tuple[str, ...]:
    """Every hostile name as a coupon, claimed by every hostile user, and a ledger that does not balance."""
    names = tuple(HOSTILE.values())
    execute(database_url, "INSERT INTO coupons SELECT unnest($1::text[]), 100, 99", names)
    every_user = "INSERT INTO claims SELECT n, u FROM unnest($1::text[]) AS n, unnest($1::text[]) AS u"
    execute(database_url, every_user, names)
    return names


def assert_harmless(output: bytes) -> None:
    """No control byte but line ends and our own colours, no invisible character, nothing undecodable."""
    text = OURS.sub(b"", output).decode().replace("\r\n", "\n")
    assert {character for character in text if safe(character) != character} <= {"\n"}


COMMANDS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "list": lambda name: ("list",),
    "list --filter": lambda name: ("list", "--filter", f"{name}nothing"),
    "show": lambda name: ("show", "--", name),
    "show what is not there": lambda name: ("show", "--", f"{name}nothing"),
    "verify": lambda name: ("verify", "--", name),
    "claim again": lambda name: ("claim", "--", name, name),
    "claim": lambda name: ("claim", "--", name, "alice"),
    "claim for many": lambda name: ("claim", "--", name, "bob", "carol"),
    "create": lambda name: ("create", "--", name, "5"),
    "create with a strange amount": lambda name: ("create", "--", "x", name),
    "an unknown command": lambda name: (f"x{name}",),
    "an unknown option": lambda name: ("list", f"--x{name}"),
    "an unknown value": lambda name: ("list", "--sort", name),
    "an extra argument": lambda name: ("list", "--", name),
    "an unknown context": lambda name: ("--context", name, "list"),
    "a strange URL": lambda name: ("--url", name, "list"),
    "a strange file": lambda name: ("claim", "x", "--from", name),
    "a drill": lambda name: ("drill", f"x{name}"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_spells_it_out(
    couponctl: Couponctl, planted: tuple[str, ...], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command == "an unknown context":
        monkeypatch.delenv("COUPONCTL_URL")
    for name in planted:
        for tone in ([], ["--json"]):
            answer = couponctl(*tone, *COMMANDS[command](name))

            assert answer.exit_code != 1
            assert_harmless(answer.out.encode(errors="surrogatepass"))
            assert_harmless(answer.err.encode(errors="surrogatepass"))


def test_what_is_invisible_is_shown_with_its_number(couponctl: Couponctl, planted: tuple[str, ...]) -> None:
    table = couponctl("list").out

    assert r"a\u{1b}[31mb " in table
    assert r"a\u{9b}31mb " in table
    assert r"a\u{202e}b " in table
    assert r"a\u{a}b " in table
    assert "[red]x[/red] " in table
    assert "春節特惠 " in table


def test_json_round_trips_every_name(couponctl: Couponctl, planted: tuple[str, ...]) -> None:
    listed = json.loads(couponctl("list", "--json").out)["coupons"]
    assert {coupon["name"] for coupon in listed} >= set(planted)
    for name in planted:
        answer = couponctl("--json", "show", "--", name)
        document = json.loads(answer.out)
        assert answer.out.isascii()
        assert document["name"] == name
        assert set(document["claimed_by"]) >= set(planted)


@pytest.mark.parametrize("command", ["list", "show", "verify", "claim", "an extra argument"])
def test_no_control_byte_of_a_name_reaches_a_terminal(
    database_url: str, planted: tuple[str, ...], command: str
) -> None:
    name = "".join(INVISIBLE.values())
    arguments = COMMANDS[command](name if command == "an extra argument" else INVISIBLE["colour"])

    answer = shown(*arguments, environment={"COUPONCTL_URL": database_url})

    assert rb"\u{1b}" in answer.out
    assert_harmless(answer.out)


@pytest.mark.parametrize("command", ["list", "claim"])
def test_no_control_byte_of_a_name_reaches_a_pipe(
    database_url: str, planted: tuple[str, ...], command: str
) -> None:
    answer = finished(
        *COMMANDS[command](INVISIBLE["clipboard (OSC 52)"]), environment={"COUPONCTL_URL": database_url}
    )

    assert rb"\u{1b}" in answer.out + answer.err
    assert_harmless(answer.out + answer.err)


def test_an_argument_that_is_not_utf_8_is_spelled_out_too(database_url: str) -> None:
    for command in (("show", "a\udcffb"), ("list", "--\udcff"), ("list", "\udc9b31m"), ("\udcff",)):
        answer = finished(*command, environment={"COUPONCTL_URL": database_url})

        assert answer.exit_code == 2
        assert answer.err.count(b"\n") == 1
        assert_harmless(answer.err)


def test_a_name_that_looks_like_an_option_is_a_name(couponctl: Couponctl) -> None:
    answer = couponctl("show", "--", "--jso", "--json")

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("couponctl: usage: Got unexpected extra argument (--json)")


def test_the_questions_of_a_terminal_spell_out_where_they_lead(database_url: str) -> None:
    environment = {"COUPONCTL_URL": database_url.replace("couponctl@", "a%C2%ADb%E2%80%AEc@", 1)}
    with terminal("drill", "flash-sale", environment=environment) as window:
        question = window.read_until(lambda seen: b"[y/N]" in seen)

    assert rb"a\u{ad}b\u{202e}c@" in question
    assert_harmless(question)
