"""The console on a real terminal: what it writes there, and that nothing of it stays."""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.reports.store import RunStore
from couponctl.models import Outcome
from tests.support.programs import COUPONCTL
from tests.support.reports import entry, report
from tests.support.sessions import held
from tests.support.tui.windows import ENTER, ESCAPE, colours, modes_left, unspoken, window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Sql

HOSTILE = (
    "\x1b[2J\x1b[6n",  # clears the screen, makes the terminal type
    "\x1b]52;c;T1dORUQ=\x07",  # fills the clipboard
    "\x1b]0;owned\x1b\\",  # renames the window
    "\x9b31mred\x9b0m",  # the same trick in one byte
    "\u202eesrever",
    "a\u200db\u2028c\x85d",
)

SPELLED = r"\u{1b}[2J\u{1b}[6n"
"""What the first of them must look like."""


@pytest.fixture
def hostile_shop(plant: Callable[..., None]) -> None:
    """Coupons and claimants whose names are made to command a terminal."""
    for name in HOSTILE:
        plant(name, 20, HOSTILE)


@pytest.fixture
def hostile_session(database_url: str, sql: Sql) -> Iterator[None]:
    """A role, and a statement of it in a transaction that stays open, that are made to command a terminal."""
    role = HOSTILE[0]
    sql(f'CREATE ROLE "{role}"')
    statement = f"SET ROLE \"{role}\"; SELECT '{HOSTILE[0]}' /* {' '.join(HOSTILE)} */"
    with held(database_url, statement):
        yield
    sql(f'DROP ROLE "{role}"')


@pytest.fixture
def hostile_runs(state_directory: Path) -> None:
    """A kept run in which somebody has written."""
    run = report(entry("alice", Outcome.CLAIMED), server={"where": " ".join(HOSTILE), "version": HOSTILE[0]})
    RunStore(state_directory / "couponctl" / "runs").save(run, made_by="console")


def assert_harmless(seen: bytes) -> None:
    """The bytes are UTF-8, and all in them that is not text is what the console itself has to say."""
    text = unspoken(seen).replace("\r\n", "")
    assert {hex(ord(c)) for c in text if unicodedata.category(c) in {"Cc", "Cf", "Zl"}} == set()


def test_it_starts_shows_coupons_and_leaves_the_terminal_as_it_was(
    plant: Callable[..., None], environment: dict[str, str]
) -> None:
    plant("SPRING", 5, ("alice",))
    with window(environment=environment) as console:
        before = console.attributes
        console.see("SPRING", "4 of 5 left", "alice")
        assert modes_left(console.seen), "it never took the terminal"
        console.type("q")
        done = console.finish()

        assert done.exit_code == 0
        assert modes_left(done.out) == {}
        assert console.attributes == before
    assert done.out.count(b"\x1b[>25u") == done.out.count(b"\x1b[<u") == 1


def test_names_cannot_command_the_terminal(
    hostile_shop: None, hostile_session: None, hostile_runs: None, environment: dict[str, str]
) -> None:
    with window(environment=environment, size=(200, 50)) as console:
        console.see(SPELLED, r"\u{9b}31mred", "esrever", r"a\u{200d}b\u{2028}c\u{85}d", "newest claimants")
        console.type(ENTER)
        console.see("6 users here", SPELLED)
        console.type(ESCAPE)
        console.see(gone="6 users here")
        console.type("c")
        console.see("User id")
        console.settle()
        console.type("eve" + ENTER)
        console.see("eve has claimed", gone="User id")
        console.type("\x10")
        console.see("go to runs")
        console.type("esrever")
        console.see(r"show \u{202e}esrever")
        console.type(ESCAPE)
        console.see(gone=r"show \u{202e}")
        console.type("3")
        console.see("idle in transaction", SPELLED)
        console.type("4")
        console.see("0badcafe", SPELLED)
        console.type(ENTER)
        console.see("the whole drill", SPELLED)
        console.type(ESCAPE)
        console.see(gone="the whole drill")
        console.type("\x05")
        console.see("The same in a shell", "eve")
        console.type(ESCAPE)
        console.see(gone="The same in a shell")
        console.type("q")
        done = console.finish()

    assert done.exit_code == 0
    assert_harmless(done.out)


def test_names_are_no_obstacle_to_copying(plant: Callable[..., None], environment: dict[str, str]) -> None:
    plant(HOSTILE[0])
    with window(environment=environment) as console:
        console.see("no claims yet")
        console.type("y")
        console.see("Sent to the terminal's clipboard")
        copied = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07", console.seen)

    assert [b64decode(each).decode() for each in copied] == [HOSTILE[0]]


def test_a_burst_means_what_its_keys_mean_one_by_one(
    plant: Callable[..., None], sql: Sql, environment: dict[str, str]
) -> None:
    plant("SPRING", 5)
    with window(environment=environment) as console:
        console.see("no claims yet")
        console.type("c")
        console.see("User id")
        console.settle()
        console.type(f"amx\x7fy{ENTER}x")
        console.see("amy has claimed SPRING", gone="User id")
        console.settle()
        console.type(f"nWINTER\t5{ENTER}0n")
        console.see("WINTER: 5 units on sale", "5 of 5 left", gone="Units on sale")
        console.type(f"cbob{ENTER}c")
        console.see("bob has claimed WINTER")
        console.settle()
        assert "User id" not in console.picture

    assert sql("SELECT coupon_name, user_id FROM claims ORDER BY 1") == [("SPRING", "amy"), ("WINTER", "bob")]
    assert sql("SELECT amount FROM coupons WHERE name = 'WINTER'") == [(5,)]


PLAIN = {*range(10), 39, 49}
SIXTEEN = PLAIN | {*range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)}


@pytest.mark.parametrize(
    ("wish", "known"),
    [
        ({"TERM": "xterm", "COLORTERM": ""}, SIXTEEN),
        ({"TERM": "xterm", "COLORTERM": "", "TEXTUAL_THEME": "dracula"}, SIXTEEN),
        ({"NO_COLOR": "1"}, PLAIN),
        ({"NO_COLOR": "1", "TEXTUAL_THEME": "couponctl-light"}, PLAIN),
    ],
    ids=["sixteen colours", "sixteen colours and a theme", "NO_COLOR", "NO_COLOR and a theme"],
)
def test_no_colour_is_sent_that_the_terminal_cannot_show_or_nobody_wants(
    plant: Callable[..., None], environment: dict[str, str], wish: dict[str, str], known: set[int]
) -> None:
    plant("SPRING", 5)
    with window(environment=environment | wish) as console:
        console.see("no claims yet")
        for key, title in (("2", "Drills"), ("3", "Backends"), ("4", "Runs")):
            console.type(key)
            console.see(f"─ {title} ─")

        sent = {int(number) for each in colours(console.seen) for number in each.split(";")}

    assert sent - known == set()
    assert len(sent) > 1


@pytest.mark.parametrize(
    ("theme", "background"),
    [("", "48;2;22;22;30"), ("couponctl-light", "48;2;244;244;248"), ("dracula", "48;2;40;42;54")],
    ids=["ours", "couponctl-light", "dracula"],
)
def test_the_theme_that_was_wished_for_is_shown(
    environment: dict[str, str], theme: str, background: str
) -> None:
    with window(environment=environment | {"TEXTUAL_THEME": theme}) as console:
        console.see("no coupons yet")

        assert any(background in each for each in colours(console.seen))


def test_a_theme_that_nobody_knows_is_told_of(environment: dict[str, str]) -> None:
    with window(environment=environment | {"TEXTUAL_THEME": "nope"}) as console:
        console.see("there is no theme nope")

        assert any("48;2;22;22;30" in each for each in colours(console.seen))


WANTS_A_TERMINAL = (
    b"couponctl: tui: needs a terminal; `couponctl list` and `couponctl stats --watch` do without."
)


@pytest.mark.parametrize("redirection", ['<"$0"', '>"$0"', '2>"$0"'])
def test_without_a_terminal_it_names_commands_that_need_none(
    environment: dict[str, str], tmp_path: Path, redirection: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()
    program = ("sh", "-c", f'exec "$@" {redirection}', str(elsewhere), *COUPONCTL)
    with window(environment=environment, program=program) as console:
        answer = console.finish()

    assert answer.exit_code == 2
    assert (answer.out + elsewhere.read_bytes()).strip() == WANTS_A_TERMINAL


@pytest.mark.parametrize(
    ("arguments", "term", "sentence"),
    [
        ((), "dumb", b"TERM says that this one cannot"),
        ((), "", b"TERM says that this one cannot"),
        (("--json",), "xterm", b"`couponctl stats --watch --json` has"),
        (("--refresh-hz", "0"), "xterm", b"'--refresh-hz'"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(
    environment: dict[str, str], arguments: tuple[str, ...], term: str, sentence: bytes
) -> None:
    with window(*arguments, environment=environment | {"TERM": term}) as console:
        answer = console.finish()

    assert answer.exit_code == 2
    assert sentence in answer.out
    assert b"\x1b" not in answer.out
