"""What the operator has marked is guarded: read-only contexts, production, servers that others use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.programs import shown, terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Context
    from tests.conftest import Couponctl, Sql

LEFTOVER = "couponctl_drill_0badcafe"
DRILL = ("drill", "flash-sale", "--n", "4", "--stock", "2")
ALL_DRILLS = ("drill", "all")


@pytest.fixture
def leftover(sql: Sql) -> str:
    """The schema of a drill that was killed."""
    sql(f"CREATE SCHEMA {LEFTOVER}")
    return LEFTOVER


@pytest.fixture
def database_name(database_url: str) -> str:
    return urlsplit(database_url).path.removeprefix("/")


def schemas(sql: Sql) -> list[str]:
    return [row[0] for row in sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl%'")]


@pytest.mark.parametrize(
    "command",
    [
        ("create", "SPRING", "3"),
        ("claim", "SPRING", "alice"),
        ("claim", "SPRING", "alice", "bob"),
        (*DRILL, "--yes"),
        ("drill", "all", "--yes"),
        ("drill", "clean", "--yes"),
        ("db", "init"),
    ],
    ids=" ".join,
)
def test_a_read_only_context_takes_no_writes(
    couponctl: Couponctl, context: Context, leftover: str, sql: Sql, command: tuple[str, ...]
) -> None:
    context("read_only = true")

    answer, document = couponctl(*command), couponctl(*command, "--json")

    assert answer.exit_code == document.exit_code == 23
    assert answer.out == ""
    assert " is marked read-only. Choose another context, or take read_only out" in answer.err
    assert answer.err.count("\n") == 1
    assert json.loads(document.out)["error"]["code"] == "guarded"
    assert schemas(sql) == [leftover]
    assert sql("SELECT FROM coupons") == []


def test_a_read_only_context_can_be_read(couponctl: Couponctl, context: Context) -> None:
    couponctl("create", "SPRING", "3")
    context("read_only = true")

    for command in (("list",), ("show", "SPRING"), ("verify",), ("stats",), ("doctor",), ("db", "status")):
        assert couponctl(*command).exit_code == 0


def test_an_embedded_server_that_is_marked_read_only_is_not_deleted(
    couponctl: Couponctl, tmp_path: Path, context: Context
) -> None:
    context("read_only = true")
    config = tmp_path / "config.toml"
    config.write_text(f'[contexts.shop]\nread_only = true\ndata_dir = "{tmp_path}"\n')

    answer = couponctl("db", "reset", "--confirm", "couponctl")

    assert answer.exit_code == 23
    assert "is marked read-only" in answer.err


@pytest.mark.parametrize("command", [DRILL, ALL_DRILLS, ("drill", "clean")], ids=" ".join)
def test_without_a_terminal_a_server_of_others_wants_yes(
    couponctl: Couponctl, leftover: str, sql: Sql, command: tuple[str, ...]
) -> None:
    answer = couponctl(*command)

    assert answer.exit_code == 23
    assert answer.err.startswith("couponctl: confirmation required on couponctl@")
    assert answer.err.endswith(". To confirm: --yes\n")
    assert schemas(sql) == [leftover]
    if command != ALL_DRILLS:  # with --yes they run where their reports are tested
        assert couponctl(*command, "--yes").exit_code == 0


@pytest.mark.parametrize("command", [DRILL, ("drill", "clean")], ids=" ".join)
def test_production_wants_its_name(
    couponctl: Couponctl, context: Context, leftover: str, database_name: str, command: tuple[str, ...]
) -> None:
    context('environment = "production"')

    for too_little in (["--yes"], [], ["--confirm", "shop"], ["--confirm", database_name.upper(), "--yes"]):
        answer = couponctl(*command, *too_little)
        assert answer.exit_code == 23
        assert answer.err.endswith(f" is production. To confirm: --confirm {database_name}\n")

    assert couponctl(*command, "--confirm", database_name).exit_code == 0


def test_production_still_sells(couponctl: Couponctl, context: Context) -> None:
    context('environment = "production"')

    assert couponctl("create", "SPRING", "3").exit_code == 0
    assert couponctl("claim", "SPRING", "alice").exit_code == 0


def test_a_schema_that_only_looks_like_a_drills_is_never_removed(
    couponctl: Couponctl, leftover: str, sql: Sql
) -> None:
    sql('CREATE SCHEMA couponctl_drill_archive;\nCREATE SCHEMA "couponctl_drill_0BADCAFE"')

    assert couponctl("drill", "clean", "--yes").out == f"removed {leftover}\n"
    assert sorted(schemas(sql)) == ["couponctl_drill_0BADCAFE", "couponctl_drill_archive"]


@pytest.mark.parametrize(("reply", "exit_code"), [("y", 0), ("n", 23), ("", 23)])
def test_on_a_terminal_the_operator_is_asked_once(database_url: str, reply: str, exit_code: int) -> None:
    with terminal(*DRILL, environment={"COUPONCTL_URL": database_url}) as window:
        plan = window.read_until(lambda seen: b"[y/N]" in seen).decode()
        assert "flash-sale: create a schema couponctl_drill_…, and drop it afterwards" in plan
        assert "open up to 14 connections for up to 30 s" in plan
        window.type(f"{reply}\n")
        answer = window.finish()

    assert answer.exit_code == exit_code
    assert answer.out.count(b"[y/N]") == 1
    assert ("PASS" in answer.out.decode()) is (exit_code == 0)


def test_who_has_agreed_already_is_not_asked(database_url: str) -> None:
    answer = shown(*DRILL, "--yes", environment={"COUPONCTL_URL": database_url})

    assert answer.exit_code == 0
    assert b"Continue?" not in answer.out


def test_ctrl_c_at_the_question_is_a_no(database_url: str) -> None:
    with terminal(*DRILL, environment={"COUPONCTL_URL": database_url}) as window:
        window.read_until(lambda seen: b"[y/N]" in seen)
        answer = window.interrupt()

    assert answer.exit_code == 130
    assert b"couponctl: interrupted" in answer.out


def test_on_a_terminal_production_has_its_name_typed_out(
    tmp_path: Path, database_url: str, database_name: str
) -> None:
    config = tmp_path / "couponctl" / "config.toml"
    config.parent.mkdir()
    lines = f'[contexts.shop]\nurl = {json.dumps(database_url)}\nenvironment = "production"\n'
    config.write_text(lines)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "COUPONCTL_CONTEXT": "shop"}
    for typed, exit_code in (("y", 23), (database_name, 0)):
        with terminal(*DRILL, environment=environment) as window:
            window.read_until(lambda seen: b"Type the database's name to continue: " in seen)
            window.type(f"{typed}\n")

            assert window.finish().exit_code == exit_code
