"""`couponctl db` on the private server: what it says and does, in a directory of the test's own."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from couponctl import embedded
from tests.support.processes import soon
from tests.support.programs import COUPONCTL, finished, terminal
from tests.support.sessions import PASSWORD, execute
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Json
    from tests.conftest import Couponctl


@pytest.fixture
def base(open_directory: Path, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the commands of this test keep their private server."""
    base = open_directory / "private"
    monkeypatch.delenv("COUPONCTL_URL")
    monkeypatch.setenv("COUPONCTL_DATA_DIR", str(base))
    yield base
    embedded.stop(base, now=True)


def test_the_life_of_a_private_server(couponctl: Couponctl, answered: Json, base: Path) -> None:
    embedded.reset(base)
    assert couponctl("db", "status").out.startswith("embedded PostgreSQL is not running\n")
    assert answered("db", "stop") == {"stopped": "was_not_running"}

    assert couponctl("db", "start").out == "started; it runs until `couponctl db stop`\n"
    assert couponctl("db", "start").out == "is already running\n"
    status = answered("db", "status")
    assert (status["embedded"], status["running"], status["kept"]) == (True, True, True)
    assert couponctl("db", "status").out == (
        f"embedded PostgreSQL {status['version']} runs, process {status['pid']}, "
        f"until `couponctl db stop`\ndata in {base}, log in {base}/postgres.log\n"
    )
    assert couponctl("create", "SPRING", "3").exit_code == 0

    assert couponctl("db", "stop").out == "stopped\n"
    assert "SPRING" in couponctl("list").out
    assert "kept" in answered("db", "status")


def test_the_url_is_for_other_programs_and_holds_no_password(
    couponctl: Couponctl, answered: Json, base: Path
) -> None:
    couponctl("db", "start")
    couponctl("create", "SPRING", "3")
    url = couponctl("db", "url").out.rstrip("\n")
    password = (base / "passfile").read_text().strip().rpartition(":")[2]

    named = subprocess.run(
        [embedded.binary("psql"), url, "-Atc", "SELECT name FROM coupons"],
        capture_output=True,
        check=True,
        text=True,
    )

    assert "SPRING" in named.stdout.split()
    assert answered("db", "url") == {"url": url}
    assert password
    assert password not in url + couponctl("db", "status", "--json").out


def test_psql_opens_on_the_same_database(couponctl: Couponctl, base: Path) -> None:
    couponctl("create", "SPRING", "3")

    answer = couponctl("db", "psql", "-At", "-c", "SELECT count(*) FROM coupons WHERE name = 'SPRING'")
    behind = couponctl("db", "psql", "--", "-v", "ON_ERROR_STOP=1", "-Atc", "SELECT 1")
    failed = couponctl("db", "psql", "-c", "SELECT nothing")

    assert (answer.exit_code, answer.out) == (0, "1\n")
    assert (behind.exit_code, behind.out) == (0, "1\n")
    assert failed.exit_code == 1


def test_ctrl_c_in_psql_ends_a_query_and_not_the_session(couponctl: Couponctl, base: Path) -> None:
    couponctl("db", "start")
    environment = {"COUPONCTL_DATA_DIR": str(base), "PSQL_PAGER": ""}
    with terminal("db", "psql", "-X", environment=environment) as window:
        window.read_until(lambda seen: b"couponctl=#" in seen)
        window.type("SELECT 'running' FROM pg_sleep(60);\n")
        busy = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        window.read_until(lambda _: bool(execute(embedded.status(base).url, busy)))
        window.type("\x03")
        window.read_until(lambda seen: seen.count(b"couponctl=#") > 1)
        window.type("SELECT 40 + 2;\n")
        window.read_until(lambda seen: b"42" in seen)
        window.type("\\q\n")

        assert window.finish().exit_code == 0


def test_psql_keeps_the_server_when_the_command_is_killed(base: Path) -> None:
    with subprocess.Popen(
        [*COUPONCTL, "db", "psql", "-XAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"SELECT 'here';\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"here\n"
        process.kill()
        process.wait()
        in_the_meantime = embedded.stop(base)
        rest, _ = process.communicate(b"SELECT 40 + 2;\n", timeout=DEADLINE)

    assert in_the_meantime is embedded.Stopped.IN_USE
    assert rest == b"42\n"
    assert soon(lambda: not embedded.Cluster(base).alive)


def test_reset_deletes_everything_and_only_when_it_is_meant(couponctl: Couponctl, base: Path) -> None:
    couponctl("create", "SPRING", "3")
    for too_little in ([], ["--confirm", "yes"], ["--confirm", "COUPONCTL"]):
        refused = couponctl("db", "reset", *too_little)
        assert refused.exit_code == 23
        assert refused.err == (
            f"couponctl: confirmation required to delete {base}. To confirm: --confirm couponctl\n"
        )

    assert couponctl("db", "reset", "--confirm", "couponctl").out == f"deleted {base}\n"
    assert couponctl("list").err == "no coupon; create one first\n"


def test_reset_on_a_terminal_has_the_name_typed_out(couponctl: Couponctl, base: Path) -> None:
    couponctl("create", "SPRING", "3")
    for typed, exit_code in (("y", 23), ("couponctl", 0)):
        with terminal("db", "reset", environment={"COUPONCTL_DATA_DIR": str(base)}) as window:
            window.read_until(lambda seen: b"Type couponctl to continue: " in seen)
            window.type(f"{typed}\n")
            answer = window.finish()

        assert answer.exit_code == exit_code
        assert b"with every coupon and claim in it, for good" in answer.out


def test_drills_on_a_private_server_ask_nobody(couponctl: Couponctl, base: Path) -> None:
    assert couponctl("drill", "flash-sale", "--n", "4", "--stock", "2").exit_code == 0
    assert couponctl("drill", "clean").err == "no leftover drill schemas\n"


def test_the_doctor_finds_a_private_server_healthy(couponctl: Couponctl, answered: Json, base: Path) -> None:
    couponctl("db", "init")

    healthy = couponctl("doctor")
    document = answered("doctor")

    assert healthy.exit_code == 0
    assert {line.split()[0] for line in healthy.out.splitlines()} == {"✔"}
    assert document["ok"] is True
    assert all(
        check.keys() == {"subject", "state", "detail", "remedy"} and check["state"] == "ok"
        for check in document["checks"]
    )


@pytest.mark.parametrize("command", ["start", "stop", "reset"])
def test_the_server_of_somebody_else_is_not_ours_to_run(couponctl: Couponctl, command: str) -> None:
    answer = couponctl("db", command)

    assert answer.exit_code == 2
    assert "is not couponctl's to start, stop or delete" in answer.err
    assert answer.err.count("\n") == 1


def test_the_server_of_somebody_else_has_an_address_without_a_password(
    couponctl: Couponctl, answered: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@db1,db2:6432/sale?sslmode=require")

    assert couponctl("db", "url").out == "postgresql://shop@db1:5432,db2:6432/sale?sslmode=require\n"
    assert couponctl("db", "status").out == "shop@db1:5432,db2:6432/sale (from COUPONCTL_URL)\n"
    assert answered("db", "status")["where"] == "shop@db1:5432,db2:6432/sale"


def test_a_file_is_no_place_for_a_database(
    couponctl: Couponctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUPONCTL_URL")
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        monkeypatch.setenv("COUPONCTL_DATA_DIR", str(place))

        answer = couponctl("list")
        document = couponctl("list", "--json")

        assert answer.exit_code == document.exit_code == 2
        assert answer.err.endswith(
            "Set COUPONCTL_DATA_DIR to another directory, of your own and with free space.\n"
        )
        assert answer.err.count("\n") == 1
        assert json.loads(document.out)["error"]["code"] == "misconfigured"


def test_a_place_that_takes_no_files_is_refused(
    couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COUPONCTL_URL")
    monkeypatch.setenv("COUPONCTL_DATA_DIR", "/proc/couponctl")

    answer = couponctl("db", "start")

    assert answer.exit_code == 2
    assert answer.err.startswith("couponctl: /proc/couponctl cannot hold the private database: ")
    assert answer.err.count("\n") == 1


def test_a_doctor_who_cannot_reach_the_patient_says_why() -> None:
    answer = finished(
        "doctor", environment={"COUPONCTL_URL": f"postgresql://shop:{PASSWORD}@127.0.0.1:1/sale"}
    )

    assert (answer.exit_code, answer.err) == (3, b"")
    assert b"connection refused" in answer.out
    assert PASSWORD.encode() not in answer.out
