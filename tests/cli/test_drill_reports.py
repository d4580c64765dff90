"""What a drill leaves in files, wants of service levels, and says without being run."""

from __future__ import annotations

import json
import signal
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import Engine, event

from couponctl.drills.catalog import DRILLS
from couponctl.drills.reports.markdown import LONGEST_COMMENT
from tests.support.programs import running
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Context, Json
    from tests.conftest import Couponctl, Role, Sql

SALE = ("drill", "flash-sale", "--n", "6", "--stock", "2", "--pool-size", "3")
DRILL = (*SALE, "--yes")
FAILING = ("drill", "pool-exhaustion", "--n", "2", "--wait", "5", "--timeout", "0.2", "--yes")
"""Broken off long before the pool can refuse anybody."""
NOWHERE = ("--url", "postgresql://nobody@127.0.0.1:1/nowhere")

NAMES = {"junit": "drill.xml", "markdown": "drill.md", "journal": "drill.jsonl"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {format_: tmp_path / name for format_, name in NAMES.items()}


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that couponctl sends."""
    sent: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    yield sent
    event.remove(Engine, "before_cursor_execute", remember)


def options(files: dict[str, Path]) -> list[str]:
    return [word for format_, path in files.items() for word in (f"--{format_}", str(path))]


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - couponctl wrote it


def ours(sql: Sql) -> list[int]:
    """Schemas and backends of couponctl."""
    (row,) = sql(
        "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'couponctl%'),"
        " (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'couponctl/%'"
        " AND datname = current_database())"
    )
    return list(row)


def until_at_rest(sql: Sql) -> None:
    """No schema, and in the end no backend: the server takes note of a closed connection in its own time."""
    ends = monotonic() + DEADLINE
    while ours(sql) != [0, 0]:
        assert monotonic() < ends, ours(sql)


def test_the_reports_are_written_beside_the_answer(couponctl: Couponctl, files: dict[str, Path]) -> None:
    files["junit"].write_text("x" * 100_000)

    answer = couponctl(*DRILL, *options(files), "--json")

    report = json.loads(answer.out)
    root = parsed(files["junit"].read_text("utf-8"))
    assert root.get("tests") == str(len(report["checks"]) + 1)
    assert files["markdown"].read_text("utf-8").startswith("## ✔ PASS: couponctl drill flash-sale\n")
    journal = [json.loads(line) for line in files["journal"].read_text("utf-8").splitlines()]
    assert sorted(each["outcome"] for each in journal) == ["claimed"] * 2 + ["sold_out"] * 4
    assert {each["run_id"] for each in journal} == {report["run_id"]}
    assert set(report["phases_ms"]) == {"claimed", "sold_out"}


@pytest.mark.parametrize("format_", NAMES)
def test_a_dash_is_stdout_and_nothing_else_is_there(format_: str, couponctl: Couponctl) -> None:
    answer = couponctl(*DRILL, f"--{format_}", "-")

    assert (answer.exit_code, answer.err) == (0, "")
    if format_ == "junit":
        assert parsed(answer.out).tag == "testsuites"
    elif format_ == "markdown":
        assert answer.out.startswith("## ")
    else:
        assert len([json.loads(line) for line in answer.out.splitlines()]) == 6


def test_a_drill_that_fails_is_written_too(couponctl: Couponctl, files: dict[str, Path]) -> None:
    answer = couponctl(*FAILING, *options(files), "--slo", "claimed.n>1")

    assert answer.exit_code == 20
    assert "✘ FAIL" in answer.out
    failures = parsed(files["junit"].read_text("utf-8")).findall(".//failure")
    assert "expected every attempt answered, observed still " in str([each.attrib for each in failures])
    assert files["markdown"].read_text("utf-8").startswith("## ✘ FAIL")
    assert len(files["journal"].read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize("format_", NAMES)
def test_an_unwritable_file_is_refused_before_anything_is_reached(
    format_: str, couponctl: Couponctl, tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "missing" / "file"):
        answer = couponctl(*NOWHERE, *DRILL, f"--{format_}", str(path))

        assert (answer.exit_code, answer.out) == (2, "")
        assert answer.err.startswith(f"couponctl: --{format_}: {path} cannot be written (")


def test_who_does_not_agree_keeps_the_files(couponctl: Couponctl, files: dict[str, Path]) -> None:
    files["junit"].write_text("of the last run")

    assert couponctl(*SALE, *options(files)).exit_code == 23
    assert [path.exists() for path in files.values()] == [True, False, False]
    assert files["junit"].read_text() == "of the last run"


@pytest.mark.parametrize(
    ("given", "both"),
    [
        (("--junit", "-", "--json"), "--junit: --json writes to standard output already"),
        (("--junit", "-", "--journal", "-"), "--journal: --junit writes to standard output already"),
        (("--junit", "{}/same", "--markdown", "{}/d/../same"), "--markdown: --junit writes to"),
    ],
)
def test_two_outputs_never_meet(
    given: tuple[str, ...], both: str, couponctl: Couponctl, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()

    answer = couponctl(*NOWHERE, *DRILL, *(word.format(tmp_path) for word in given))

    assert answer.exit_code == 2
    assert both in answer.err


def test_a_full_disk_spoils_a_pass_but_not_the_answer(couponctl: Couponctl) -> None:
    answer = couponctl(*DRILL, "--junit", "/dev/full")

    assert answer.exit_code == 2
    assert "✔ PASS" in answer.out
    assert answer.err == "couponctl: --junit: /dev/full cannot be written (No space left on device).\n"


@pytest.mark.parametrize(
    ("levels", "exit_code"),
    [
        (["errors=0", "claimed.n=2", "claimed.p99<60s"], 0),
        (["errors=0", "claimed.n=3"], 21),
        (["errors=0", "timed_out.p99<60s"], 22),
        (["claimed.n=3", "timed_out.p99<60s"], 22),
    ],
)
def test_a_service_level_has_an_exit_code(levels: list[str], exit_code: int, couponctl: Couponctl) -> None:
    wanted = [word for level in levels for word in ("--slo", level)]

    answer = couponctl(*DRILL, *wanted, "--json")

    report = json.loads(answer.out)
    assert answer.exit_code == exit_code
    assert report["verdict"] == "PASS"
    assert [each["expression"] for each in report["slos"]] == levels


def test_a_bad_service_level_is_a_usage_error_that_names_the_closest(couponctl: Couponctl) -> None:
    answer = couponctl(*NOWHERE, *DRILL, "--slo", "claimd.p99<1ms")

    assert answer.exit_code == 2
    assert answer.err == (
        'couponctl: service level "claimd.p99<1ms": there is no metric "claimd.p99"; '
        "the closest is claimed.p99.\n"
    )


@pytest.mark.parametrize("name", [*(drill.name for drill in DRILLS), "all"])
def test_a_dry_run_does_nothing(
    name: str, couponctl: Couponctl, statements: list[str], sql: Sql, files: dict[str, Path]
) -> None:
    answer = couponctl("drill", name, "--dry-run", *options(files))

    assert (answer.exit_code, answer.err) == (0, "")
    assert [statement.split()[0] for statement in statements] == ["WITH"]
    until_at_rest(sql)
    assert not any(path.exists() for path in files.values())
    first, *_rest, room, consent = answer.out.splitlines()
    assert first.startswith("dry run: nothing is created")
    assert "connections are free (max_connections), " in room
    assert consent == "this server requires --yes"


def test_a_dry_run_says_what_a_run_would_take_and_break(answered: Json) -> None:
    document = answered("drill", "pool-exhaustion", "--dry-run", "--pool-size", "4")

    (plan,) = document["plans"]
    assert document["dry_run"] is True
    assert document["connections"] == plan["connections"] == 8
    assert plan["faults"] == ["drained pool"]
    assert plan["timeout_s"] == 30.0
    assert plan["blast_radius"] == "its own schema and pool"
    assert document["room"]["limited_by"] == "max_connections"
    assert document["consent"] == "--yes"


def test_a_dry_run_of_all_names_every_drill(answered: Json) -> None:
    document = answered("drill", "all", "--dry-run")

    assert [plan["drill"] for plan in document["plans"]] == [drill.name for drill in DRILLS]


def test_a_dry_run_is_refused_where_the_run_would_be(
    couponctl: Couponctl, context: Context, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", role())
    without_create = couponctl(*SALE, "--dry-run")
    context("read_only = true")
    read_only = couponctl(*SALE, "--dry-run")

    assert (without_create.exit_code, read_only.exit_code) == (2, 23)
    assert "GRANT CREATE ON DATABASE " in without_create.err


def test_production_is_told_how_to_agree(couponctl: Couponctl, context: Context, sql: Sql) -> None:
    context('environment = "production"')
    ((database,),) = sql("SELECT current_database()")

    assert couponctl(*SALE, "--dry-run").out.endswith(f"this server requires --confirm {database}\n")


def test_a_dry_run_starts_no_private_server(
    couponctl: Couponctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUPONCTL_URL")
    monkeypatch.setenv("COUPONCTL_DATA_DIR", str(tmp_path / "data"))

    answer = couponctl(*SALE, "--dry-run")

    assert answer.exit_code == 0
    assert answer.out.endswith("it would be started, and was not checked\n")
    assert not (tmp_path / "data").exists()


def test_without_head_room_nothing_is_created_and_both_numbers_are_named(
    couponctl: Couponctl, sql: Sql
) -> None:
    answer = couponctl("drill", "flash-sale", "--pool-size", "500", "--yes")

    assert answer.exit_code == 3
    assert "The drill needs 504 connections, and " in answer.err
    assert "Lower --pool-size, raise max_connections" in answer.err
    assert ours(sql)[0] == 0


def test_the_list_names_promise_blast_radius_and_faults(couponctl: Couponctl) -> None:
    listed = couponctl("drill", "list").out

    for drill in DRILLS:
        assert f"  expectation   {drill.promise}\n  blast radius  {drill.blast_radius}\n" in listed
    assert "  faults        drained pool\n" in listed


@pytest.mark.ci
def test_all_drills_go_into_one_document_of_each_kind(
    couponctl: Couponctl, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("couponctl.cli.drill.DRILLS", DRILLS[:5])

    answer = couponctl("drill", "all", "--yes", *options(files), "--slo", "claimed.n>0")

    assert answer.exit_code == 0, answer.out
    names = [drill.name for drill in DRILLS[:5]]
    suites = parsed(files["junit"].read_text("utf-8")).findall("testsuite")
    assert [suite.get("name") for suite in suites] == names
    comment = files["markdown"].read_text("utf-8")
    assert comment.startswith(f"## ✔ PASS: {len(names)} drills by couponctl\n")
    assert len(comment) < LONGEST_COMMENT
    journal = [json.loads(line) for line in files["journal"].read_text("utf-8").splitlines()]
    assert {each["drill"] for each in journal} == set(names)
    assert answer.out.count("claimed.n>0") == len(names)


SHORT = ("flash-sale", "double-dip", "query-timeout", "stampede")
WITH_SHORT_CATALOG = f"""
from couponctl.__main__ import main
from couponctl.cli import drill

drill.DRILLS = tuple(each for name in {SHORT} for each in drill.DRILLS if each.name == name)
main()
"""


@pytest.mark.ci
def test_drills_that_ended_before_an_interruption_are_written(
    sql: Sql, files: dict[str, Path], database_url: str
) -> None:
    environment = {"COUPONCTL_URL": database_url}
    short = (sys.executable, "-c", WITH_SHORT_CATALOG)
    asleep = (
        "SELECT FROM pg_stat_activity WHERE query ~ 'pg_sleep' AND application_name ~ '^couponctl/drill-'"
        " AND datname = current_database()"
    )
    with running("drill", "all", "--yes", *options(files), environment=environment, program=short) as process:
        ends = monotonic() + DEADLINE * 3
        while not sql(asleep):
            assert monotonic() < ends
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    finished = list(SHORT[:2])
    assert process.returncode == 130
    assert [line.split()[2] for line in out.decode().splitlines()] == finished
    assert f"only {len(finished)} of {len(SHORT)} drills are in the reports" in err.decode()
    suites = parsed(files["junit"].read_text("utf-8")).findall("testsuite")
    assert [suite.get("name") for suite in suites] == finished
    until_at_rest(sql)
