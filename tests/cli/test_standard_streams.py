"""Standard streams that are closed, full, or read by nobody: what can be done is done, and told."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from couponctl import embedded
from tests.support.processes import processes, soon
from tests.support.programs import COUPONCTL, Finished
from tests.support.sessions import execute
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.conftest import Sql

CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")

DRILL = ("drill", "flash-sale", "--n", "4", "--stock", "2", "--yes")

STANDS = "; what the command has changed remains\n"

FULL = f"couponctl: the answer cannot be written: No space left on device{STANDS}".encode()


def redirected(streams: str, *arguments: str, environment: Mapping[str, str]) -> Finished:
    """Run couponctl to its end as a shell starts it with these redirections."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *COUPONCTL, *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=DEADLINE * 3,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def assert_told(streams: str, answer: Finished, said: bytes) -> None:
    """The answer is where it belongs; without a stdout there is an error, of which stderr tells."""
    without_answer = ">&- 2" in streams or streams == ">&-"
    assert answer.exit_code == (2 if without_answer else 0), answer
    assert (said in answer.out) is not without_answer
    if without_answer and "2>&-" not in streams:
        assert answer.err == f"couponctl: the answer cannot be written: stdout is closed{STANDS}".encode()
    assert b"Traceback" not in answer.err


@pytest.mark.parametrize("streams", CLOSED)
def test_commands_do_without_a_standard_stream(environment: dict[str, str], sql: Sql, streams: str) -> None:
    assert_told(
        streams, redirected(streams, "create", "SPRING", "3", environment=environment), b"SPRING: 3 units"
    )
    for user in ("alice", "bob"):
        claimed = redirected(streams, "claim", "SPRING", user, environment=environment)
        assert_told(streams, claimed, f"{user} has claimed SPRING".encode())
    assert_told(streams, redirected(streams, "list", environment=environment), b"SPRING")
    assert_told(streams, redirected(streams, "list", "--json", environment=environment), b'"SPRING"')
    assert_told(streams, redirected(streams, *DRILL, environment=environment), "✔ PASS".encode())
    assert redirected(streams, "verify", environment=environment).exit_code == 0

    assert [tuple(row) for row in sql("SELECT user_id FROM claims ORDER BY 1")] == [("alice",), ("bob",)]
    assert sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'") == []


@pytest.mark.parametrize("streams", CLOSED)
def test_many_claims_do_without_a_standard_stream(
    environment: dict[str, str], plant: Callable[..., None], sql: Sql, tmp_path: Path, streams: str
) -> None:
    plant("SPRING", 5)
    (tmp_path / "users").write_text("alice\nbob\n")
    answer = redirected(
        streams, "claim", "SPRING", "--from", str(tmp_path / "users"), environment=environment
    )

    assert_told(streams, answer, b"SPRING: 2 claimed")
    assert sql("SELECT count(*) FROM claims")[0][0] == 2


def test_users_cannot_come_from_a_stdin_that_is_closed(
    environment: dict[str, str], plant: Callable[..., None]
) -> None:
    plant("SPRING", 5)
    answer = redirected("<&-", "claim", "SPRING", "--from", "-", environment=environment)

    assert (answer.exit_code, answer.out) == (2, b"")
    assert answer.err == b"couponctl: standard input: cannot be read (Bad file descriptor).\n"


@pytest.mark.parametrize("streams", CLOSED)
def test_the_console_wants_all_three(environment: dict[str, str], streams: str) -> None:
    answer = redirected(streams, "tui", environment=environment)

    assert (answer.exit_code, answer.out) == (2, b"")
    assert (b"needs a terminal" in answer.err) is ("2>&-" not in streams)


@pytest.mark.parametrize("streams", CLOSED)
def test_a_private_server_takes_no_standard_stream_for_its_own(private_base: Path, streams: str) -> None:
    environment = {"COUPONCTL_DATA_DIR": str(private_base)}
    assert_told(streams, redirected(streams, "create", "SPRING", "3", environment=environment), b"SPRING")
    assert_told(streams, redirected(streams, "db", "start", environment=environment), b"started")
    assert_told(
        streams, redirected(streams, "claim", "SPRING", "u", environment=environment), b"u has claimed"
    )
    ours = processes(private_base)
    streams_of = [os.path.realpath(f"/proc/{each.pid}/fd/{number}") for each in ours for number in (0, 1, 2)]

    assert execute(embedded.status(private_base).url, "SELECT user_id FROM claims")[0][0] == "u"
    assert len(ours) == 3
    assert {each for each in streams_of if "pipe:" not in each} == {
        os.devnull,
        str(private_base / "postgres.log"),
    }
    assert embedded.stop(private_base) is embedded.Stopped.STOPPED
    assert soon(lambda: not processes(private_base))


@pytest.mark.parametrize(
    "command",
    [
        "list",
        "list --json",
        "show SPRING",
        "claim SPRING bob",
        "create AUTUMN 3",
        "--help",
        "claim --help",
        "--version",
    ],
)
def test_a_full_disk_is_told(environment: dict[str, str], plant: Callable[..., None], command: str) -> None:
    plant("SPRING", 5, ("alice",))
    answer = redirected(">/dev/full", *command.split(), environment=environment)

    assert (answer.exit_code, answer.err) == (2, FULL)


def test_a_claim_whose_answer_cannot_be_written_is_made(
    environment: dict[str, str], plant: Callable[..., None], sql: Sql
) -> None:
    plant("SPRING", 5)
    answer = redirected(">/dev/full", "claim", "SPRING", "alice", "--json", environment=environment)

    assert (answer.exit_code, answer.err) == (2, FULL)
    assert sql("SELECT user_id FROM claims")[0][0] == "alice"


def test_an_error_that_cannot_be_written_as_json_is_said(environment: dict[str, str]) -> None:
    answer = redirected(">/dev/full", "show", "NEVER", "--json", environment=environment)

    assert answer.exit_code == 2
    assert answer.err.startswith(b'couponctl: There is no coupon "NEVER"')
    assert answer.err.endswith(FULL)


def test_reports_are_written_although_that_to_stdout_cannot_be(
    environment: dict[str, str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    answer = redirected(
        ">/dev/full", *DRILL, "--junit", "-", "--journal", str(journal), environment=environment
    )

    assert (answer.exit_code, answer.err) == (2, FULL)
    assert len(journal.read_text().splitlines()) == 4


def test_results_that_do_not_fit_are_told_once(
    environment: dict[str, str], plant: Callable[..., None], tmp_path: Path
) -> None:
    plant("SPRING", 5)
    (tmp_path / "users").write_text("alice\n")
    answer = redirected(
        ">/dev/full",
        *("claim", "SPRING", "--from", str(tmp_path / "users"), "--results", "-"),
        environment=environment,
    )

    assert answer.exit_code == 2
    assert b"No space left on device" in answer.err
    assert b"Exception ignored" not in answer.err


@pytest.mark.parametrize("command", ["list", "list --json", "--help", "--version", "db --help"])
def test_a_reader_that_has_gone_ends_it_quietly(
    environment: dict[str, str], plant: Callable[..., None], command: str
) -> None:
    plant("SPRING", 5)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:  # noqa: PTH123 - a pipe
        answer = subprocess.run(
            [*COUPONCTL, *command.split()],
            env={**os.environ, **environment},
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            timeout=DEADLINE * 3,
        )

    assert (answer.returncode, answer.stderr) == (141, b"")


@pytest.mark.parametrize("command", ["list", "show NEVER"])
def test_what_has_no_answer_needs_no_streams(environment: dict[str, str], command: str) -> None:
    answer = redirected(">&- 2>&-", *command.split(), environment=environment)

    assert answer.exit_code == (12 if "show" in command else 0)
