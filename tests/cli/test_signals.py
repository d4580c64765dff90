"""Ctrl-C and its kin, at moments that are observed: nothing is left on the server, and no traceback shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from couponctl import embedded
from tests.support.programs import COUPONCTL, running, terminal
from tests.support.sessions import TRACES, Watch, slow_down_commits
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Couponctl

DRILL = ("drill", "scale", "--n", "500", "--yes")

MOMENTS = {
    "as it connects": "SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/admin-%'",
    "as it makes its schema": "SELECT FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'",
    "as it fills its pool": "SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/drill-%'",
    "as claims queue for the row": "SELECT FROM pg_stat_activity WHERE application_name LIKE"
    " 'couponctl/drill-%' AND wait_event_type = 'Lock'",
}


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE)
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("moment", "number", "exit_code"),
    [
        ("as it connects", signal.SIGINT, 130),
        ("as it makes its schema", signal.SIGINT, 130),
        ("as it makes its schema", signal.SIGTERM, 143),
        ("as it fills its pool", signal.SIGTERM, 143),
        ("as claims queue for the row", signal.SIGINT, 130),
    ],
)
def test_an_interrupted_drill_leaves_nothing(
    slow_commits: None,
    watch: Watch,
    environment: dict[str, str],
    moment: str,
    number: signal.Signals,
    exit_code: int,
) -> None:
    with running(*DRILL, environment=environment) as process:
        watch.until(MOMENTS[moment])
        process.send_signal(number)

        code, out, err = ended(process)

    assert (code, out) == (exit_code, "")
    assert err.endswith("couponctl: interrupted\n")
    how = {
        "as it connects": "",
        "as claims queue for the row": r"couponctl: scale: aborted, [0-9,]+ of [0-9,]+ answered\n",
    }
    assert re.search(how.get(moment, r"couponctl: scale: aborted before any claim\n"), err)
    watch.until(TRACES, found=False)


def test_a_closed_terminal_ends_a_drill_as_cleanly(watch: Watch, environment: dict[str, str]) -> None:
    with terminal(*DRILL, environment=environment) as window:
        watch.until(MOMENTS["as it fills its pool"])
        window.hang_up()

        assert window.process.wait(DEADLINE) == 143
    watch.until(TRACES, found=False)


def test_a_drill_that_was_told_to_ignore_hangups_goes_on(watch: Watch, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        ["nohup", *COUPONCTL, *DRILL],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        watch.until(MOMENTS["as it fills its pool"])
        process.send_signal(signal.SIGHUP)

        code, out, _ = ended(process)

    assert code == 0
    assert "✔ PASS" in out


def test_who_does_not_wait_for_the_clean_up_is_told_what_is_left(
    watch: Watch, database_url: str, environment: dict[str, str], couponctl: Couponctl
) -> None:
    holder = Watch(database_url)
    with running(*DRILL, environment=environment) as process:
        watch.until(MOMENTS["as it fills its pool"])
        ((schema,),) = watch.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'")
        holder.query("BEGIN")
        holder.query(f"LOCK TABLE {schema}.coupons")  # the clean-up waits for this
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == (
            b"couponctl: stopping and cleaning up; Ctrl-C again to skip the clean-up\n"
        )
        process.send_signal(signal.SIGINT)

        code, _, err = ended(process)
    holder.close()

    assert code == 130
    assert err == (
        f"couponctl: clean-up skipped, schema {schema} is left: `couponctl drill clean` removes it\n"
    )
    watch.until("SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/%'", found=False)
    assert couponctl("drill", "clean", "--yes").out == f"removed {schema}\n"
    assert couponctl("drill", "clean", "--yes") == (0, "", "no leftover drill schemas\n")


def test_a_drill_survives_the_loss_of_all_its_backends(
    slow_commits: None, watch: Watch, environment: dict[str, str]
) -> None:
    with running(*DRILL, environment=environment) as process:
        watch.until(MOMENTS["as claims queue for the row"])
        watch.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'couponctl/%'"
            " AND datname = current_database()"
        )

        code, out, err = ended(process)

    assert code in {0, 20, 22}, err
    assert out.startswith("scale  ")
    watch.until(TRACES, found=False)


def test_a_drill_whose_server_dies_says_what_is_left_and_clean_removes_it(
    open_directory: Path, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = open_directory / "mortal"
    monkeypatch.delenv("COUPONCTL_URL")
    monkeypatch.setenv("COUPONCTL_DATA_DIR", str(base))
    embedded.start(base)
    url = embedded.status(base).url
    slow_down_commits(url)
    watch = Watch(url)
    with running(*DRILL, environment={}) as process:
        watch.until(MOMENTS["as claims queue for the row"])
        os.kill(embedded.status(base).pid or 0, signal.SIGKILL)

        code, out, err = ended(process)
    watch.close()

    assert code == 22, (out, err)
    assert "`couponctl drill clean` removes it" in out
    cleaned = couponctl("drill", "clean")
    assert cleaned.exit_code == 0
    assert cleaned.out.startswith("removed couponctl_drill_")
    assert couponctl("drill", "clean").err == "no leftover drill schemas\n"
    embedded.stop(base)


@pytest.mark.parametrize(
    ("module", "number", "exit_code"),
    [
        ("click", signal.SIGINT, 130),
        ("couponctl.cli", signal.SIGHUP, 143),
        ("sqlalchemy", signal.SIGINT, 130),
        ("couponctl.service", signal.SIGTERM, 143),
    ],
)
def test_a_signal_while_the_program_loads_is_one_line(
    environment: dict[str, str], module: str, number: signal.Signals, exit_code: int
) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "couponctl", "list"]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        imported = iter(process.stderr.readline, b"")
        assert any(line.split()[-1].decode().startswith(module) for line in imported)
        process.send_signal(number)
        code, _, err = ended(process)

    said = [line for line in err.splitlines() if not line.startswith("import time:")]
    assert (code, said) == (exit_code, ["couponctl: interrupted"])


def test_claims_for_many_that_are_interrupted_say_how_far_they_came(
    watch: Watch, database_url: str, environment: dict[str, str], couponctl: Couponctl
) -> None:
    couponctl("create", "SPRING", "5")
    holder = Watch(database_url)
    holder.query("BEGIN")
    holder.query("SELECT FROM coupons FOR UPDATE")
    waiting = (
        "SELECT FROM pg_stat_activity WHERE application_name = 'couponctl/claim' AND wait_event_type = 'Lock'"
    )
    with running("claim", "SPRING", "alice", "bob", environment=environment) as process:
        watch.until(waiting)
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)

    assert code == 130
    assert err == ("couponctl: 0 of 2 answered; the same command continues\ncouponctl: interrupted\n")
    watch.until(waiting, found=False)
    holder.close()
    assert couponctl("claim", "SPRING", "alice", "bob").exit_code == 0
