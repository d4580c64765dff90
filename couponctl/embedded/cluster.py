"""One private database cluster on disk: its paths, its making, its address."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from couponctl.embedded import supervisor
from couponctl.embedded.account import ENVIRONMENT, Account, server_account
from couponctl.embedded.binaries import binary, programs_for, version
from couponctl.embedded.locks import PATIENCE, is_free
from couponctl.errors import BadSettings, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER_PLACE = "Set COUPONCTL_DATA_DIR to a directory of your own with free space."
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "client_connection_check_interval": "2s",
    "max_connections": "200",
}
"""What holds for the server whatever its configuration file says."""
LOGIN = "*:*:*:couponctl:"
"""How the line of the passfile begins: this role, anywhere."""
LONGEST_SOCKET_PATH = 103
"""Bytes: what every system's socket address can hold."""
LOG_LIMIT = 1 << 20
"""Bytes of log at which the next start turns to a new file."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where everything lives: `base/data`, `base/run` (the socket), the locks, the passfile, the log."""

    base: Path

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def passfile(self) -> Path:
        return self.base / "passfile"

    @property
    def log(self) -> Path:
        return self.base / "postgres.log"

    @property
    def keep(self) -> Path:
        """The marker of `db start`: while it exists, the server outlives its users."""
        return self.base / "keep"

    @property
    def run(self) -> Path:
        """The socket's directory, or a link to a private temporary one where this path is too long."""
        return self.base / "run"

    @property
    def users(self) -> Path:
        return self.base / "users.lock"

    @property
    def starting(self) -> Path:
        return self.base / "start.lock"

    @property
    def sockets(self) -> Path:
        return self.run.readlink() if self.run.is_symlink() else self.run

    @property
    def initialised(self) -> bool:
        return self.data.exists()

    @property
    def is_ours(self) -> bool:
        """Whether couponctl has made what is there."""
        return self.passfile.exists() and self.passfile.read_text().startswith(LOGIN)

    @property
    def supervised(self) -> bool:
        return not is_free(self.base / "supervisor.lock", shared=True)

    @property
    def alive(self) -> bool:
        """Whether any process of the server exists, answering or not."""
        return not is_free(self.base / "server.lock", shared=True)

    @property
    def url(self) -> str:
        """The address, without a secret: the password is in the passfile."""
        return (
            f"postgresql://couponctl@/couponctl?host={quote(str(self.sockets))}&port={SETTINGS['port']}"
            f"&passfile={quote(str(self.passfile))}"
        )

    def answers(self) -> str | None:
        """The server's version if a login succeeds, else None.

        Raises BadSettings when a server is there but refuses the password.
        """
        if not self.is_ours:
            return None
        account = server_account(self.data)
        if not (_is_private(self.sockets, account) and (self.sockets / supervisor.SOCKET).exists()):
            return None
        with suppress(subprocess.TimeoutExpired):
            asked = subprocess.run(
                [binary("psql"), self.url, "-XAtqwc", "show server_version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=5.0,
                env=ENVIRONMENT | {"PGCONNECT_TIMEOUT": "5"},
            )
            if asked.returncode == 0:
                return asked.stdout.strip()
            if "too many clients" in asked.stderr:
                return self.major
            if "authentication failed" in asked.stderr:
                raise BadSettings(
                    problem=f"The private PostgreSQL refuses the password in {self.passfile}",
                    way_out="Restore that file, or delete the whole database: `couponctl db reset`.",
                )
        return None

    @property
    def major(self) -> str:
        """The major version of the data directory, such as 18; empty when it is not one."""
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return ""

    def prepare(self) -> None:
        """Make the base directory, open for nobody else.

        Raises BadSettings when it cannot be or is not safe to use.
        """
        mode = 0o711 if os.geteuid() == 0 else 0o700
        for path in reversed([path for path in (self.base, *self.base.parents) if not path.exists()]):
            with suppress(FileExistsError):
                path.mkdir()
                path.chmod(mode)
        facts = self.base.stat()
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(20, "it is not a directory", str(self.base))
        if facts.st_uid not in {0, os.geteuid()} or facts.st_mode & stat.S_IWOTH:
            raise BadSettings(
                problem=f"{self.base} belongs to another account or is writable for everybody",
                way_out=OTHER_PLACE,
            )

    def launch(self) -> None:
        """Start a supervisor, which starts the server or adopts the one that is there.

        The caller holds the starting lock. Raises BadSettings when something must be fixed first.
        """
        if self.initialised or self.passfile.exists():
            self._require_ours()
        account = server_account(self.data)
        if barrier := account.barred_by(self.base):
            raise BadSettings(
                problem=f"{barrier} is closed to the account {account.name} that runs PostgreSQL",
                way_out="Set COUPONCTL_DATA_DIR to a directory that it may enter, as /var/lib/couponctl is.",
            )
        programs = programs_for(account, self.base)
        if self.initialised:
            self._require_version(version(programs / "postgres").partition(".")[0])
        else:
            self._initialise(account, programs)
        self._provide_sockets(account)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        settings = SETTINGS | {"unix_socket_directories": '"' + str(self.sockets).replace('"', '""') + '"'}
        command: list[Path | str] = [programs / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        _detach(self.log, [self.base, self.sockets, str(account.uid), str(account.gid), *command])

    def last_words(self) -> str:
        """Why the server did not start, from the end of its log."""
        try:
            lines = self.log.read_bytes()[-8192:].decode(errors="replace").split("\n")
        except OSError:
            return "it left no log"
        said = [line for line in lines if line.strip()] or ["it left no log"]
        fatal = [line for line in said[-20:] if "FATAL:" in line or "PANIC:" in line] or said
        return fatal[-1].rpartition("FATAL:")[2].rpartition("PANIC:")[2].strip()

    def delete(self) -> None:
        """Remove all that couponctl made here but the lock files, which others may be waiting for."""
        made = [self.data, *self.base.glob("couponctl-new-*"), *self.base.glob("couponctl-pgsql-*")]
        if _is_private(self.sockets, server_account(self.data)):
            made.insert(0, self.sockets)
        for directory in made:
            if directory.is_dir():
                shutil.rmtree(directory)
        if self.run.is_symlink():
            self.run.unlink()
        rest = (self.keep, self.log, self.log.with_suffix(".log.1"), self.base / "bell", self.passfile)
        for file in rest:
            file.unlink(missing_ok=True)

    def _require_ours(self) -> None:
        if not self.is_ours:
            raise BadSettings(
                problem=f"{self.data} was not made by couponctl, or {self.passfile} is lost",
                way_out="Set COUPONCTL_DATA_DIR to another directory.",
            )

    def _require_version(self, major: str) -> None:
        if self.major != major:
            raise BadSettings(
                problem=f"{self.data} was made by PostgreSQL {self.major or 'of no known version'}, "
                f"but this is PostgreSQL {major}",
                way_out="Save its coupons with the old version's pg_dump and load them into a new database: "
                "set COUPONCTL_DATA_DIR to another directory, or delete this one with `couponctl db reset`.",
            )

    def _initialise(self, account: Account, programs: Path) -> None:
        for stale in self.base.glob("couponctl-new-*"):
            shutil.rmtree(stale, ignore_errors=True)
        password = secrets.token_urlsafe(24)
        _write_private(self.passfile, f"{LOGIN}{password}\n")
        fresh = Path(tempfile.mkdtemp(prefix="couponctl-new-", dir=self.base))
        try:
            account.own(fresh)
            _write_private(fresh / "password", password)
            account.own(fresh / "password")
            _initdb(account, programs, fresh)
            (fresh / "data").rename(self.data)
            _sync(self.base)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _provide_sockets(self, account: Account) -> None:
        if _is_private(self.sockets, account):
            return
        if self.run.is_symlink():
            self.run.unlink()
        if self.run.exists():
            raise BadSettings(
                problem=f"{self.run} is not couponctl's own, private directory", way_out=OTHER_PLACE
            )
        if _fits(self.run):
            self.run.mkdir(0o700)
            account.own(self.run)
            return
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- mkdtemp below it
            sockets = Path(tempfile.mkdtemp(prefix="couponctl-", dir=parent))
            if _fits(sockets):
                account.own(sockets)
                self.run.symlink_to(sockets)
                return
            sockets.rmdir()


@contextmanager
def explained(base: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence with a way out: BadSettings."""
    try:
        yield
    except OSError as error:
        raise BadSettings(
            problem=f"No private database in {base}: {error.filename or 'it'}: {error.strerror}",
            way_out=OTHER_PLACE,
        ) from error


def _initdb(account: Account, programs: Path, fresh: Path) -> None:
    data = fresh / "data"
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if int(version(programs / "postgres").partition(".")[0]) < 17:
        locale = ["--locale=C.UTF-8"]
    pwfile = f"--pwfile={fresh / 'password'}"
    options: list[Path | str] = [
        "-U",
        "couponctl",
        "--auth=scram-sha-256",
        pwfile,
        "--encoding=UTF8",
        *locale,
    ]
    single: list[Path | str] = ["--single", "-D", data, "postgres"]
    for made in (
        account.run(programs / "initdb", "-D", data, *options),
        account.run(programs / "postgres", *single, stdin="create database couponctl\n"),
    ):
        if made.returncode != 0:
            words = [line for line in made.stderr.splitlines() if "error:" in line or "FATAL:" in line]
            reason = (words or made.stderr.splitlines() or ["it gave no reason"])[-1]
            raise BadSettings(
                problem=f"PostgreSQL could not make its database: {reason}", way_out=OTHER_PLACE
            )


def _detach(log: Path, arguments: list[Path | str]) -> None:
    command = [sys.executable, "-I", "-S", supervisor.__file__, *map(str, arguments)]
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        subprocess.run(
            command,
            check=False,  # a supervisor that failed is missed soon enough
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            umask=0o077,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(reason=f"another supervisor has kept its lock for {PATIENCE:g} s") from error
    finally:
        os.close(descriptor)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fits(directory: Path) -> bool:
    # A comma separates hosts in every PostgreSQL address.
    address = os.fsencode(directory / supervisor.SOCKET)
    return len(address) <= LONGEST_SOCKET_PATH and b"," not in address


def _is_private(directory: Path, account: Account) -> bool:
    try:
        facts = directory.lstat()
    except FileNotFoundError:
        return False
    return (
        stat.S_ISDIR(facts.st_mode) and facts.st_uid == account.uid and stat.S_IMODE(facts.st_mode) == 0o700
    )
