"""`claim --results`: whatever breaks the run off, no answer is lost, and no other file."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import COUPONCTL, finished, running
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Couponctl, Sql
    from tests.support.sessions import Watch

MANY = [f"user-{number}" for number in range(3500)]
"""Four batches."""


@pytest.fixture(autouse=True)
def everybody(couponctl: Couponctl) -> None:
    couponctl("create", "EVERYBODY", "10000")


@pytest.fixture
def users(tmp_path: Path) -> Path:
    file = tmp_path / "users.txt"
    file.write_text("\n".join(MANY))
    return file


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@pytest.fixture
def stuck_after_a_batch(sql: Sql, watch: Watch) -> None:
    """The first batch goes through, the second waits for a lock that the watch holds."""
    sql(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF EXISTS (SELECT FROM claims) THEN PERFORM pg_advisory_xact_lock_shared(7); END IF;"
        " RETURN NULL; END $$;\n"
        "CREATE TRIGGER wait BEFORE INSERT ON claims EXECUTE FUNCTION wait()"
    )
    watch.query("SELECT pg_advisory_lock(7)")


def answered(results: Path) -> list[tuple[str, str]]:
    documents = map(json.loads, results.read_text().splitlines())
    return [(document["user_id"], document["outcome"]) for document in documents]


def waited_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.usefixtures("stuck_after_a_batch")
def test_broken_off_it_names_the_command_that_goes_on(
    users: Path, results: Path, watch: Watch, environment: dict[str, str], sql: Sql
) -> None:
    command = ("claim", "EVERYBODY", "--from", str(users), "--results", str(results))
    with running(*command, environment=environment) as process:
        waited_for(lambda: results.exists() and results.read_text().count("\n") == 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE)
    watch.query("SELECT pg_advisory_unlock(7)")

    going_on = shlex.join(["couponctl", *command, "--resume"])
    assert process.returncode == 130
    assert err.decode().splitlines() == [
        "couponctl: 1,000 of 3,500 answered",
        f"couponctl: to continue: {going_on}",
        "couponctl: interrupted",
    ]

    again = finished(*command, environment=environment)
    assert again.exit_code == 2
    assert b"is not empty: --resume continues after what it holds" in again.err
    assert len(answered(results)) == 1000

    rest = finished(*shlex.split(going_on)[1:], environment=environment)
    assert rest.out == b"EVERYBODY: 2,500 claimed, 1,000 answered by the run before\n"
    assert answered(results) == [(user, "claimed") for user in MANY]
    assert sql("SELECT count(*) FROM claims")[0][0] == len(MANY)


def test_a_torn_file_is_gone_on_with_behind_its_last_whole_line(
    couponctl: Couponctl, users: Path, results: Path
) -> None:
    command = ("claim", "EVERYBODY", "--from", str(users), "--results", str(results))
    assert couponctl(*command).exit_code == 0
    whole = results.read_bytes()
    results.write_bytes(whole[: len(whole) // 2])

    answer = couponctl(*command, "--resume")

    assert answer.exit_code == 0
    assert [user for user, _ in answered(results)] == MANY
    kept = whole[: len(whole) // 2].count(b"\n")
    assert [outcome for _, outcome in answered(results)] == ["claimed"] * kept + ["already_claimed"] * (
        len(MANY) - kept
    )


def test_overwrite_begins_anew_but_not_for_a_coupon_that_is_not_there(
    couponctl: Couponctl, users: Path, results: Path
) -> None:
    command = ("--from", str(users), "--results", str(results), "--overwrite")
    assert couponctl("claim", "EVERYBODY", *command).exit_code == 0
    before = results.read_text()

    assert couponctl("claim", "EVERYBDOY", *command).exit_code == 12
    assert results.read_text() == before
    assert couponctl("claim", "EVERYBODY", *command).exit_code == 0
    assert answered(results) == [(user, "already_claimed") for user in MANY]


def test_answers_of_another_list_are_left_alone(couponctl: Couponctl, users: Path, results: Path) -> None:
    couponctl("claim", "EVERYBODY", "alice", "bob", "--results", str(results))

    answer = couponctl("claim", "EVERYBODY", "--from", str(users), "--results", str(results), "--resume")

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == (
        f'couponctl: --resume: the last answer in {results} is for "bob", number 2 of the list is "user-1": '
        "it belongs to another list.\n"
    )
    assert answered(results) == [("alice", "claimed"), ("bob", "claimed")]


@pytest.mark.parametrize(("tone", "stream"), [((), "err"), (("--json",), "out")], ids=["words", "json"])
@pytest.mark.parametrize("link", ["itself", "symbolic", "hard"])
def test_the_list_is_never_the_file_of_its_answers(
    couponctl: Couponctl, users: Path, tmp_path: Path, link: str, tone: tuple[str, ...], stream: str
) -> None:
    other = tmp_path / "other"
    if link == "symbolic":
        other.symlink_to(users)
    elif link == "hard":
        os.link(users, other)
    else:
        other = tmp_path / "." / users.name

    for read, written in ((users, other), (other, users)):
        answer = couponctl("claim", "EVERYBODY", "--from", str(read), "--results", str(written), *tone)

        assert answer.exit_code == 2
        assert f"--results: {written} is the file that --from reads; name another." in getattr(answer, stream)
    assert users.read_text().splitlines() == MANY


@pytest.mark.parametrize("redirected", ["--results {0} < {0}", "--results - < {0} >> {0}", "< {0} >> {0}"])
def test_nor_is_it_by_redirection(
    users: Path, environment: dict[str, str], redirected: str, sql: Sql
) -> None:
    command = f"{shlex.join(COUPONCTL)} claim EVERYBODY --from - {redirected.format(shlex.quote(str(users)))}"

    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, **environment}, capture_output=True, check=False
    )

    assert done.returncode == 2
    assert users.read_text().splitlines()[: len(MANY)] == MANY
    assert "EVERYBODY" not in users.read_text()
    assert sql("SELECT count(*) FROM claims")[0][0] == 0


def test_nor_are_settings_overwritten(
    couponctl: Couponctl, users: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:*:secret\n")
    monkeypatch.setenv("PGPASSFILE", str(passwords))

    for command in (
        ("claim", "EVERYBODY", "--from", str(users), "--results", str(passwords), "--overwrite"),
        ("drill", "flash-sale", "--yes", "--junit", str(passwords)),
        ("bench", "--yes", "--markdown", str(passwords)),
    ):
        answer = couponctl(*command)
        assert answer.exit_code == 2
        assert f"{passwords} is the file that couponctl reads; name another" in answer.err
    assert passwords.read_text() == "*:*:*:*:secret\n"


def test_a_full_disk_says_what_stands_and_how_to_go_on(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    answer = couponctl("claim", "EVERYBODY", "--from", str(users), "--results", "/dev/full")

    (stand,) = sql("SELECT count(*) FROM claims")[0]
    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.splitlines() == [
        f"couponctl: {stand:,} of 3,500 answered; the same command continues",
        f"couponctl: {stand:,} claims of this run remain in the database",
        "couponctl: --results: /dev/full cannot be written (No space left on device).",
    ]
    assert 0 < stand < len(MANY)


def test_one_claim_stands_when_its_answer_cannot_be_written(couponctl: Couponctl) -> None:
    answer = couponctl("claim", "EVERYBODY", "alice", "--results", "/dev/full")

    assert answer.exit_code == 2
    assert "couponctl: 1 claim of this run remains in the database\n" in answer.err


def test_a_disk_that_is_full_only_for_a_while_loses_nothing(
    users: Path, results: Path, environment: dict[str, str], couponctl: Couponctl
) -> None:
    """The file may not grow beyond a limit of the process: half a line is written, then no more."""
    command = ("claim", "EVERYBODY", "--from", str(users), "--results", str(results))
    limited = f"trap '' XFSZ; ulimit -f 100; exec {shlex.join([*COUPONCTL, *command])}"
    done = subprocess.run(
        ["bash", "-c", limited],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert f"to continue: {shlex.join(['couponctl', *command, '--resume'])}" in done.stderr
    assert "cannot be written (File too large)" in done.stderr
    assert not results.read_text().endswith("\n")
    assert couponctl(*command, "--resume").exit_code == 0
    assert [user for user, _ in answered(results)] == MANY


def test_a_reader_that_goes_away_is_told_of(users: Path, environment: dict[str, str], sql: Sql) -> None:
    with running(
        "claim", "EVERYBODY", "--from", str(users), "--results", "-", environment=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"user_id": "user-0", "outcome": "claimed", "status": 201}\n'
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read().decode()
        code = process.wait(DEADLINE)

    (stand,) = sql("SELECT count(*) FROM claims")[0]
    assert code == 2
    assert f"couponctl: {stand:,} claims of this run remain in the database\n" in err
    assert err.endswith("couponctl: --results: standard output cannot be written (Broken pipe).\n")


def test_named_users_may_go_on_too(couponctl: Couponctl, results: Path) -> None:
    couponctl("claim", "EVERYBODY", "alice", "bob", "--results", str(results))

    refused = couponctl("claim", "EVERYBODY", "alice", "bob", "carol", "--results", str(results))
    answer = couponctl("claim", "EVERYBODY", "alice", "bob", "carol", "--results", str(results), "--resume")

    assert refused.exit_code == 2
    assert (answer.exit_code, answer.out) == (0, "carol  claimed\n")
    assert answered(results) == [(user, "claimed") for user in ("alice", "bob", "carol")]
