"""Colour, terminals and pipes that close early."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import COUPONCTL, finished, shown, terminal

if TYPE_CHECKING:
    from tests.conftest import Sql

DRILL = ("drill", "flash-sale", "--n", "4", "--stock", "2", "--yes")


def colours(output: bytes) -> bool:
    return b"\x1b[3" in output


def test_a_terminal_is_shown_colours(environment: dict[str, str]) -> None:
    assert colours(shown(*DRILL, environment=environment).out)


@pytest.mark.parametrize(
    ("arguments", "wish"),
    [
        (("--no-color", "doctor"), {}),
        (("doctor", "--no-color"), {}),
        (("doctor",), {"NO_COLOR": "1"}),
        (("doctor",), {"TERM": "dumb"}),
    ],
    ids=["--no-color before", "--no-color behind", "NO_COLOR", "TERM=dumb"],
)
def test_a_terminal_can_be_spared_colours(
    environment: dict[str, str], arguments: tuple[str, ...], wish: dict[str, str]
) -> None:
    answer = shown(*arguments, environment=environment | wish)

    assert "✔".encode() in answer.out
    assert not colours(answer.out)


def test_a_pipe_is_spared_colours(environment: dict[str, str]) -> None:
    answer = finished("doctor", environment=environment)

    assert "✔".encode() in answer.out
    assert b"\x1b" not in answer.out + answer.err


@pytest.mark.parametrize("command", [("list",), ("list", "--json")], ids=" ".join)
def test_a_reader_that_has_seen_enough_ends_it_quietly(
    environment: dict[str, str], sql: Sql, command: tuple[str, ...]
) -> None:
    sql("INSERT INTO coupons SELECT repeat('x', 200) || i, 5, 5 FROM generate_series(1, 3000) AS i")
    with subprocess.Popen(
        [*COUPONCTL, *command, "--limit", "3000"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == b""
        # Of one large write CPython does not say that it was cut off.
        assert process.wait() in ({0, 141} if "--json" in command else {141})


def test_json_in_a_terminal_is_json_and_nothing_else(environment: dict[str, str]) -> None:
    answer = shown("list", "--json", environment=environment)

    assert answer.out == b'{\r\n  "coupons": [],\r\n  "next": null,\r\n  "visible": "all"\r\n}\r\n'


def test_a_bare_locale_is_no_obstacle(environment: dict[str, str], sql: Sql) -> None:
    sql("INSERT INTO coupons VALUES ('春🎁', 5, 5)")

    answer = finished("list", environment=environment | {"LC_ALL": "C", "PYTHONUTF8": "0"})
    ascii_only = finished("list", environment=environment | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})

    assert answer.exit_code == ascii_only.exit_code == 0
    assert answer.out == ascii_only.out
    assert "春🎁".encode() in answer.out


def test_stats_are_watched_until_ctrl_c(environment: dict[str, str]) -> None:
    with terminal("stats", "--watch", "--interval", "0.1", environment=environment) as window:
        window.read_until(lambda seen: seen.count(b"pool ") >= 3)
        window.type("\x03")
        answer = window.finish()

    assert answer.exit_code == 130
    assert answer.out.endswith(b"couponctl: interrupted\r\n")
