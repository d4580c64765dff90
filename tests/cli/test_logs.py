"""`--log-file` and COUPONCTL_LOG: what is logged where, what is refused, and what is never in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from couponctl import settings
from couponctl.service import CouponService
from tests.support.fake_servers import greeting, refusing
from tests.support.processes import gone, processes
from tests.support.programs import finished, running
from tests.support.rules_of_their_own import CHECK, LATE_RULE, RAISES
from tests.support.sessions import PASSWORD, run_script
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Couponctl, Role, Sql


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.mark.parametrize("before", [True, False], ids=["before the command", "behind it"])
def test_a_command_logs_its_beginning_its_database_and_its_end(
    couponctl: Couponctl, plant: Callable[..., None], log: Path, *, before: bool
) -> None:
    option = ("--log-file", str(log))
    plant("SPRING", 5)
    answer = couponctl(*option, "list") if before else couponctl("list", *option)

    assert (answer.exit_code, answer.err) == (0, "")
    begun, database, ended = log.read_text().splitlines()
    assert " INFO couponctl.cli.logs " in begun
    assert "couponctl list begins: couponctl 0" in begun
    assert "from COUPONCTL_URL" in database
    assert ended.endswith("The command ended with exit code 0.")


def test_a_command_of_a_group_logs_once(couponctl: Couponctl, log: Path) -> None:
    couponctl("db", "--log-file", str(log), "url")

    assert [line.split(": ", 1)[1][:23] for line in log.read_text().splitlines()] == [
        "couponctl db url begins",
        "The command ended with ",
    ]


def test_the_log_ends_with_its_command(couponctl: Couponctl, log: Path) -> None:
    couponctl("list", "--log-file", str(log))
    before = log.read_text()
    assert before
    couponctl("list")

    assert log.read_text() == before


def test_a_log_on_a_full_disk_is_told_once_and_changes_nothing(couponctl: Couponctl, sql: Sql) -> None:
    answer = couponctl("create", "SPRING", "3", "--log-file", "/dev/full")

    assert (answer.exit_code, answer.out) == (0, "SPRING: 3 units on sale\n")
    assert re.fullmatch(r"couponctl: \d records of the log could not be written\n", answer.err)
    assert len(sql("SELECT FROM coupons")) == 1


def test_an_exit_code_is_logged_and_not_the_sentence(couponctl: Couponctl, log: Path) -> None:
    assert couponctl("show", "NEVER", "--log-file", str(log)).exit_code == 12

    assert "exit code 12" in log.read_text()
    assert "NEVER" not in log.read_text()


def test_without_a_file_it_is_on_stderr(couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUPONCTL_LOG", "debug")
    answer = couponctl("list", "--json")

    json.loads(answer.out)
    assert re.search(
        r" DEBUG couponctl\.postgres\.connect \d+: Connected to .* as backend \d+ in", answer.err
    )
    assert couponctl("db", "url", "--log-file", os.devnull).err == ""


def test_the_level_is_that_of_the_environment(
    couponctl: Couponctl, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_LOG", "warning")
    couponctl("list", "--log-file", str(log))

    assert log.read_text() == ""


@pytest.mark.parametrize("command", [["list"], ["--log-file", "log", "db", "url"], ["tui"]], ids=" ".join)
def test_a_level_that_is_none_is_refused(
    couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUPONCTL_LOG", "loud")
    answer = couponctl(*command)

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == "couponctl: COUPONCTL_LOG: must be debug, info or warning.\n"
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "cannot be written (No such file or directory)"),
        ("missing/log", "cannot be written (No such file or directory)"),
        (".", "cannot be written (Is a directory)"),
        ("pipe", "cannot be written (No such device or address)"),
        ("-", "must be a file; COUPONCTL_LOG without it writes to stderr"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(
    couponctl: Couponctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: Sql, name: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    answer = couponctl("create", "SPRING", "3", "--log-file", name)

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err.startswith("couponctl: --log-file: ")
    assert why in answer.err
    assert answer.err.count("\n") == 1
    assert sql("SELECT FROM coupons") == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("claim SPRING --from {file}", "is the file that --from reads"),
        ("claim SPRING u --results {file} --overwrite", "--results writes to"),
        ("drill flash-sale --junit {file}", "--junit writes to"),
        ("drill all --markdown {file}", "--markdown writes to"),
        ("bench --markdown {file}", "--markdown writes to"),
        ("drill flash-sale --journal {linked}", "--journal writes to"),
    ],
)
def test_a_file_that_the_command_reads_or_writes_is_refused(
    couponctl: Couponctl, tmp_path: Path, command: str, why: str
) -> None:
    file, linked = tmp_path / "users", tmp_path / "link"
    file.write_text("alice\n")
    linked.symlink_to(file)
    words = [word.format(file=file, linked=linked) for word in command.split()]
    answer = couponctl(*words, "--log-file", str(file))

    assert (answer.exit_code, answer.out) == (2, "")
    assert why in answer.err
    assert file.read_text() == "alice\n"


@pytest.mark.parametrize("kind", ["the contexts", "the passwords"])
def test_files_that_couponctl_itself_reads_are_refused(
    couponctl: Couponctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "precious"
    file.write_text("")
    if kind == "the contexts":
        monkeypatch.setattr(settings, "config_path", lambda: file)
    else:
        monkeypatch.setenv("PGPASSFILE", str(file))
    answer = couponctl("list", "--log-file", str(file))

    assert answer.exit_code == 2
    assert "is the file that couponctl reads" in answer.err
    assert file.read_text() == ""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--log-file", "x", "--help"]], ids=" ".join
)
def test_help_loads_no_logging(arguments: list[str], tmp_path: Path) -> None:
    script = f"from couponctl.cli import run; run({arguments!r}); import sys; print('logging' in sys.modules)"
    environment = {**os.environ, "COUPONCTL_LOG": "debug"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    )

    assert done.stdout.endswith("False\n")
    assert list(tmp_path.iterdir()) == []


def test_a_bug_is_logged_by_its_place_and_not_quoted(
    couponctl: Couponctl, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError(PASSWORD)

    monkeypatch.setattr(CouponService, "list", broken)
    assert couponctl("list", "--log-file", str(log)).exit_code == 1

    assert re.search(r" ERROR .*: The command broke: ZeroDivisionError at \w+/\w+\.py:\d+\.", log.read_text())
    assert PASSWORD not in log.read_text()


SENTINELS = (PASSWORD, "SPR1NG-coupon", "al1ce", "bad-b0b", "bad users buy elsewhere", "too late")
"""Passwords, coupons, users, and what triggers say of them: never in a log."""


@pytest.fixture
def discreet(log: Path) -> Callable[[], str]:
    """The log, of which something was expected, and in which nothing is that must not be."""

    def discreet() -> str:
        said = log.read_text()
        assert said
        for secret in (*SENTINELS, "SELECT ", "INSERT ", "UPDATE ", "$1"):
            assert secret not in said
        return said

    return discreet


SALE = (
    "create SPR1NG-coupon 3",
    "create SPR1NG-coupon 3",
    "claim SPR1NG-coupon al1ce",
    "claim SPR1NG-coupon bad-b0b",
    "claim SPR1NG-coupon al1ce bad-b0b al1ce carol",
    "show SPR1NG-coupon --user al1ce",
    "show SPR1NG-coupn",
    "verify",
    "doctor --report",
)


@pytest.fixture
def sale(
    couponctl: Couponctl, log: Path, monkeypatch: pytest.MonkeyPatch, discreet: Callable[[], str]
) -> Callable[[dict[str, str]], str]:
    """Logs all of a sale, logged in like that."""

    def sale(environment: dict[str, str]) -> str:
        with monkeypatch.context() as patched:
            for name, value in {"COUPONCTL_LOG": "debug", **environment}.items():
                patched.setenv(name, value)
            for command in SALE:
                couponctl(*command.split(), "--log-file", str(log))
        assert log.read_text().count(" begins: ") == len(SALE)
        return discreet()

    return sale


@pytest.mark.parametrize("place", ["the URL", "PGPASSWORD", "the passfile"])
def test_no_password_is_in_the_log_wherever_it_is_from(
    sale: Callable[[dict[str, str]], str], role: Role, tmp_path: Path, place: str
) -> None:
    said = sale(_login(role("SUPERUSER"), place, tmp_path / "passfile"))

    assert "Connected to" in said, "it never logged in"


@pytest.mark.parametrize("rule", [CHECK, LATE_RULE, RAISES], ids=["check", "late", "raises"])
def test_no_user_and_no_coupon_is_in_the_log_whatever_the_tables_say_of_them(
    sale: Callable[[dict[str, str]], str], database_url: str, rule: str
) -> None:
    run_script(database_url, rule)

    assert "savepoint" in sale({})


def _login(url: str, place: str, passfile: Path) -> dict[str, str]:
    passfile.write_text(f"*:*:*:*:{PASSWORD}\n")
    passfile.chmod(0o600)
    without = url.replace(f":{PASSWORD}@", "@")
    return {
        "the URL": {"COUPONCTL_URL": url},
        "PGPASSWORD": {"COUPONCTL_URL": without, "PGPASSWORD": PASSWORD},
        "the passfile": {"COUPONCTL_URL": without, "PGPASSFILE": str(passfile)},
    }[place]


@pytest.mark.parametrize("state", ["28P01", "3D000", "53300", "XX000"])
def test_a_login_that_is_refused_puts_no_password_into_the_log(
    log: Path, discreet: Callable[[], str], state: str
) -> None:
    with greeting(refusing(state, f"no entry for {PASSWORD} of al1ce", "auth_failed")) as port:
        url = f"postgresql://shop:{PASSWORD}@localhost:{port}/sale"
        environment = {"COUPONCTL_URL": url, "COUPONCTL_LOG": "debug"}
        assert finished("doctor", "--log-file", str(log), environment=environment).exit_code

    assert f"localhost:{port}" in discreet()


def test_a_url_that_is_wrong_is_not_quoted(log: Path, discreet: Callable[[], str]) -> None:
    for url in (f"postgresql://shop:{PASSWORD}/x@host/sale", f"postgresql://shop@host/sale?{PASSWORD}=1"):
        environment = {"COUPONCTL_URL": url, "COUPONCTL_LOG": "debug"}
        assert finished("doctor", "--report", "--log-file", str(log), environment=environment).exit_code == 2

    assert "exit code 2" in discreet()


def said(log: Path, module: str) -> list[str]:
    lines = (line.split(" ", 3) for line in log.read_text().splitlines())
    return [
        f"{level} {rest.partition(': ')[2]}"
        for _, level, name, rest in lines
        if name == f"couponctl.{module}"
    ]


def test_the_life_of_a_private_server(private_base: Path, log: Path) -> None:
    environment = {"COUPONCTL_DATA_DIR": str(private_base), "COUPONCTL_LOG": "debug"}
    for command in ("db start", "list", "db stop", "db reset --confirm couponctl"):
        finished(*command.split(), "--log-file", str(log), environment=environment)

    assert said(log, "embedded.cluster") == [f"INFO A private database is made in {private_base / 'data'}."]
    assert f"INFO The database is the private one in {private_base}." in said(log, "server")
    started, left, left_again, stopped, deleted = said(log, "embedded")
    assert re.fullmatch(r"INFO The private PostgreSQL was started in \d+\.\d s, launch 1\.", started)
    assert left == left_again
    assert left.startswith("DEBUG This command uses the private PostgreSQL no more")
    assert re.fullmatch(r"INFO The private PostgreSQL was stopped in \d+\.\d s\.", stopped)
    assert deleted == f"WARNING The private database in {private_base} was deleted."


def test_a_supervisor_that_was_lost(private_base: Path, log: Path) -> None:
    environment = {"COUPONCTL_DATA_DIR": str(private_base)}
    finished("db", "start", environment=environment)
    supervisors = [each.pid for each in processes(private_base) if "supervisor" in each.command]
    for pid in supervisors:
        os.kill(pid, signal.SIGSTOP)
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    assert gone(*supervisors)
    finished("db", "stop", "--log-file", str(log), environment=environment)

    lost = "WARNING The private PostgreSQL lost its supervisor, and gets another to stop it."
    assert said(log, "embedded")[0] == lost


def test_a_command_that_is_interrupted(environment: dict[str, str], log: Path) -> None:
    with running("stats", "--watch", "--log-file", str(log), environment=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)

    assert said(log, "cli.running") == ["INFO SIGTERM: the command stops and cleans up."]
    assert said(log, "cli.logs")[-1] == "INFO The command ended with exit code 143."
