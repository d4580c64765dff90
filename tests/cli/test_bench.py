"""`couponctl bench` as the operator meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from couponctl.bench import sandbox
from couponctl.cli import bench
from couponctl.ledger.claims import Strategy
from couponctl.ledger.claims.single import SingleClaims
from couponctl.models import Outcome
from couponctl.postgres.database import Database
from tests.cli.test_signals import ended
from tests.support.programs import running
from tests.support.sessions import TRACES, Watch
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Context, Json
    from tests.conftest import Couponctl, Sql

BENCH = ("bench", "--seconds", "0.5", "--rounds", "1", "--in-flight", "5", "--yes")

QUICK = (*BENCH, "--strategy", "batched", "--no-pgbench")


@pytest.fixture
def watch(database_url: str) -> Iterator[Watch]:
    watch = Watch(database_url)
    yield watch
    watch.close()


def schemas(sql: Sql) -> list[str]:
    return [row[0] for row in sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl%'")]


def test_the_strategies_stand_beside_the_yardstick(couponctl: Couponctl, sql: Sql) -> None:
    answer = couponctl(*BENCH, "--strategy", "statement", "--strategy", "batched")

    assert (answer.exit_code, answer.err) == (0, "")
    header, *rows = answer.out.splitlines()
    assert header.startswith("SUBJECT    IN FLIGHT  COUPONS  CLAIMS/S ")
    assert [row.split()[:3] for row in rows] == [
        ["pgbench", "50", "1"],
        ["statement", "5", "1"],
        ["batched", "5", "1"],
    ]
    assert rows[0].endswith("1.00")
    assert schemas(sql) == []


def test_json_has_the_rows_and_markdown_the_table(couponctl: Couponctl, tmp_path: Path) -> None:
    comment = tmp_path / "bench.md"

    answer = couponctl(*QUICK, "--json", "--markdown", str(comment))

    (row,) = json.loads(answer.out)["rows"]
    assert {"subject", "in_flight", "coupons", "claims_per_s", "p50_ms", "p99_ms", "vs_pgbench"} <= set(row)
    assert (row["subject"], row["in_flight"], row["coupons"], row["vs_pgbench"]) == ("batched", 5, 1, None)
    assert comment.read_text().splitlines()[2].startswith("| batched | 5 | 1 | ")


def test_a_dash_writes_the_table_to_stdout_and_nothing_else(couponctl: Couponctl) -> None:
    lines = couponctl(*QUICK, "--markdown", "-").out.splitlines()

    assert len(lines) == 3
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)


def test_a_rate_puts_users_on_each_strategy(answered: Json) -> None:
    given = ("bench", "--rate", "100", "--seconds", "0.5", "--seed", "3", "--yes")

    first, second = answered(*given), answered(*given)

    assert [row["subject"] for row in first["rows"]] == ["statement", "transaction", "batched"]
    assert (first["rate"], first["seconds"], first["seed"]) == (100, 0.5, 3)
    assert first["rows"][0]["came_per_s"] == second["rows"][0]["came_per_s"]
    assert {"p50_ms", "p99_ms", "late", "dropped", "failed", "rate_reached"} <= set(first["rows"][0])


def test_a_rate_that_is_not_reached_is_said_on_stderr(couponctl: Couponctl) -> None:
    answer = couponctl("bench", "--rate", "2000", "--seconds", "0.5", "--strategy", "transaction", "--yes")

    assert answer.exit_code == 0
    assert answer.err.startswith("couponctl: transaction on 1 coupon: RATE NOT REACHED: ")


async def _claimed_without_a_claim(_session: object, _name: str, _user: str) -> Outcome:
    return Outcome.CLAIMED


def test_a_fast_claim_that_is_wrong_is_a_failure(
    couponctl: Couponctl, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = Strategy("statement", SingleClaims(Database.session, _claimed_without_a_claim))
    monkeypatch.setattr(sandbox, "find_strategy", lambda _name: mutant)

    answer = couponctl(*QUICK, "--json")

    assert answer.exit_code == 20
    assert json.loads(answer.out)["error"]["code"] == "ledger_broken"
    assert " claims were won, 0 are in the ledger" in answer.err
    assert schemas(sql) == []


def test_without_pgbench_there_is_no_yardstick(couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "is_installed", lambda: False)

    answer = couponctl(*BENCH, "--strategy", "batched")

    assert (answer.exit_code, answer.err) == (
        0,
        "couponctl: pgbench is not installed, so there is no baseline\n",
    )
    assert [line.split()[0] for line in answer.out.splitlines()] == ["SUBJECT", "batched"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["--in-flight", "0"], "'0' is not a list of numbers"),
        (["--in-flight", "5,,7"], "'5,,7' is not a list of numbers"),
        (["--coupons", "10001"], "'10001' is not a list of numbers"),
        (["--seconds", "0.1"], "0.1 is not in the range"),
        (["--strategy", "magic"], "'magic' is not one of"),
        (["--seed", "1"], "--seed is for --rate"),
        (["--rate", "10", "--in-flight", "5"], "--in-flight and --rate do not go together"),
        (["--rate", "10", "--rounds", "2"], "--rounds and --rate do not go together"),
        (["--markdown", "/nonexistent/file"], "--markdown: /nonexistent/file cannot be written"),
        (["--markdown", "-", "--json"], "--markdown: --json writes to standard output already"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_before_anything_is_done(
    couponctl: Couponctl, given: list[str], problem: str
) -> None:
    answer = couponctl("bench", "--yes", *given)

    assert answer.exit_code == 2
    assert problem in answer.err


def test_a_server_of_others_wants_yes_and_production_its_name(couponctl: Couponctl, context: Context) -> None:
    without_yes = couponctl("bench")
    context('environment = "production"')
    production = couponctl("bench", "--yes")

    assert without_yes.exit_code == production.exit_code == 23
    assert without_yes.err.endswith(". To confirm: --yes\n")
    assert " is production. To confirm: --confirm " in production.err


def test_a_read_only_context_is_not_benched(couponctl: Couponctl, context: Context) -> None:
    context("read_only = true")

    assert couponctl("bench", "--yes").exit_code == 23


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_bench_leaves_no_pgbench_and_no_schema(
    watch: Watch, database_url: str, number: signal.Signals
) -> None:
    at_work = (
        "SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/drill-%' AND query ~ '^INSERT'"
    )
    with running("bench", "--seconds", "60", "--yes", environment={"COUPONCTL_URL": database_url}) as process:
        watch.until(at_work)
        (pgbench,) = children_of(process.pid)
        process.send_signal(number)

        code, out, err = ended(process)

    assert (code, out) == (130 if number is signal.SIGINT else 143, "")
    assert (
        err
        == "couponctl: stopping and cleaning up; Ctrl-C again to skip the clean-up\ncouponctl: interrupted\n"
    )
    assert not is_alive(pgbench)
    watch.until(TRACES, found=False)


def test_what_a_killed_bench_leaves_is_removed_by_drill_clean(
    watch: Watch, database_url: str, couponctl: Couponctl
) -> None:
    with running(*QUICK[:2], "60", *QUICK[3:], environment={"COUPONCTL_URL": database_url}) as process:
        ((schema,),) = watch.until("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'")
        process.kill()
        process.wait(DEADLINE)
    watch.until("SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/%'", found=False)

    assert couponctl("drill", "clean", "--yes").out == f"removed {schema}\n"


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True).stdout
    return [int(child) for child, parent in map(bytes.split, listed.splitlines()) if int(parent) == pid]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
