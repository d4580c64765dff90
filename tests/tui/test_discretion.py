"""The console never shows a password, nor a traceback to anybody who did not ask for one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.sessions import PASSWORD
from tests.support.tui.windows import ENTER, modes_left, window

if TYPE_CHECKING:
    from tests.conftest import Role, Sql

BREAK = """
import couponctl.tui.screens.coupons as screen, os
def broken(self, *arguments):
    url = os.environ["COUPONCTL_URL"]
    raise ZeroDivisionError("not today")
setattr(screen.Coupons, "{method}", broken)
from couponctl.__main__ import main
main()
"""


@pytest.fixture
def reader(role: Role, sql: Sql) -> str:
    """The URL of a role that may look at everything, with its password in it."""
    url = role()
    sql(f"GRANT SELECT ON coupons, claims TO {urlsplit(url).username}")
    sql("INSERT INTO coupons VALUES ('SPRING', 5, 5)")
    return url


@pytest.fixture
def locked_out(reader: str, sql: Sql) -> str:
    """The same URL after somebody has changed the password."""
    sql(f"ALTER ROLE {urlsplit(reader).username} PASSWORD 'another'")
    return reader


def test_the_right_password_is_shown_nowhere(reader: str) -> None:
    with window(environment={"COUPONCTL_URL": reader}) as console:
        console.see("no claims yet")
        console.type("n")
        console.see("Units on sale")
        console.settle()
        console.type("WINTER\t")
        console.settle()
        console.type("5" + ENTER)
        console.see("GRANT")
        console.type("\x1b")
        console.see(gone="Units on sale")
        console.run_drill("flash-sale")
        console.see("CREATE")
        console.type("3")
        console.see("─ Backends ─", "couponctl/tui")
        console.type("4")
        console.see("no runs yet")
        console.type("\x05")
        console.see("The same in a shell", "drill flash-sale")
        console.type("\x1b")
        console.see(gone="The same in a shell")
        console.type("q")
        done = console.finish()

    assert done.exit_code == 0
    assert PASSWORD.encode() not in done.out


def test_a_wrong_password_is_told_of_and_shown_nowhere(locked_out: str) -> None:
    with window(environment={"COUPONCTL_URL": locked_out}) as console:
        console.see("The server refuses the login")
        console.type("3")
        console.see("─ Backends ─", "The server refuses the login")
        console.type("q")
        done = console.finish()

    assert done.exit_code == 0
    assert PASSWORD.encode() not in done.out


@pytest.mark.parametrize(
    ("method", "verbose"),
    [("apply", False), ("apply", True), ("panes", False), ("action_new", True)],
    ids=["timer", "timer, -v", "start", "key, -v"],
)
def test_a_console_that_breaks_says_so_and_shows_details_to_those_who_ask(
    reader: str, method: str, *, verbose: bool
) -> None:
    program = (sys.executable, "-c", BREAK.format(method=method))
    arguments = ("-v",) if verbose else ()
    with window(*arguments, environment={"COUPONCTL_URL": reader}, program=program) as console:
        before = console.attributes
        if method == "action_new":
            console.see("no claims yet")
            console.type("n")
        done = console.finish()

        assert done.exit_code == 1
        assert console.attributes == before
    said = done.out.rpartition(b"\x1b")[2].decode()
    assert modes_left(done.out) == {}
    assert "couponctl: Something went wrong." in said
    assert ("Traceback" in said, "ZeroDivisionError: not today" in said) == (verbose, verbose)
    assert ("run it again with -v" in said) is not verbose
    assert PASSWORD.encode() not in done.out
