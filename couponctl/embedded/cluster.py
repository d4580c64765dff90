"""A private database cluster on disk: its paths, its creation, its address."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from couponctl.embedded import supervisor
from couponctl.embedded.binaries import binary, programs_for, version
from couponctl.embedded.directory import OTHER_PLACE, is_private, sweep
from couponctl.embedded.initdb import LOGIN, last_words, make_data, make_sockets
from couponctl.embedded.locks import PATIENCE, is_free
from couponctl.embedded.os_user import ENVIRONMENT, Account, server_account
from couponctl.errors import BadSettings, Unreachable
from couponctl.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

_log = logger(__name__)

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "client_connection_check_interval": "2s",
    "max_connections": "200",
}
"""Server settings that override its configuration file."""
LOG_LIMIT = 1 << 20
"""Bytes of log above which the next start begins a new file."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The files of the private server: `base/data`, `base/run` (the socket), locks, passfile, log."""

    base: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.base / "data"

    @property
    def passfile(self) -> Path:
        """The password, as libpq and asyncpg read it; also marks the cluster as created by couponctl."""
        return self.base / "passfile"

    @property
    def log(self) -> Path:
        """The output of the server and its supervisor; rotated at a start if larger than 1 MiB."""
        return self.base / "postgres.log"

    @property
    def keep(self) -> Path:
        """The marker of `db start`: while it exists, the server outlives its users."""
        return self.base / "keep"

    @property
    def run(self) -> Path:
        """The socket's directory, or a link to a private temporary one if this path suits no address."""
        return self.base / "run"

    @property
    def users(self) -> Path:
        """The lock that every user of the server shares."""
        return self.base / "users.lock"

    @property
    def starting(self) -> Path:
        """The lock that is held to start, stop or delete the server."""
        return self.base / "start.lock"

    @property
    def sockets(self) -> Path:
        """The socket's directory, with the link resolved."""
        return self.run.readlink() if self.run.is_symlink() else self.run

    @property
    def initialised(self) -> bool:
        return self.data.exists()

    @property
    def is_ours(self) -> bool:
        """Whether couponctl created the cluster."""
        return self.passfile.exists() and self.passfile.read_text().startswith(LOGIN)

    @property
    def supervised(self) -> bool:
        """Whether a supervisor is running, to stop the server later."""
        return not is_free(self.base / "supervisor.lock", shared=True)

    @property
    def alive(self) -> bool:
        """Whether any process of the server exists, even without answering."""
        return not is_free(self.base / "server.lock", shared=True)

    @property
    def url(self) -> str:
        """The address, without a secret: the password is in the passfile."""
        return (
            f"postgresql://couponctl@/couponctl?host={quote(str(self.sockets))}&port={SETTINGS['port']}"
            f"&passfile={quote(str(self.passfile))}"
        )

    @property
    def password(self) -> str:
        return self.passfile.read_text().removeprefix(LOGIN).strip()

    def answers(self) -> str | None:
        """Return the server's version if a login succeeds, its major version if it is full, else None.

        Raises BadSettings if a server is running but refuses the password.
        """
        if not self.is_ours:
            return None
        account = server_account(self.data)
        if not (is_private(self.sockets, account.uid) and (self.sockets / supervisor.SOCKET).exists()):
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
        """The major version of the data directory, such as 18; empty if there is none."""
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return ""

    def launch(self) -> None:
        """Start a supervisor, which starts the server or adopts a running one.

        The caller holds the starting lock. Raises BadSettings if something must be fixed first, Unreachable
        if the supervisor does not start within 90 s.
        """
        if self.initialised or self.passfile.exists():
            self._require_ours()
        account = server_account(self.data)
        if barrier := account.barred_by(self.base):
            raise BadSettings(
                problem=f"{barrier} is closed to the account {account.name} that runs PostgreSQL",
                way_out="Set COUPONCTL_DATA_DIR to a directory that it may enter, as /var/lib/couponctl is.",
            )
        sweep(self.base)
        programs = programs_for(account, self.base)
        if self.initialised:
            self._require_version(version(programs / "postgres").partition(".")[0])
        else:
            _log.info("A private database is made in %s.", self.data)
            make_data(self.data, self.passfile, account, programs)
        self._provide_sockets(account)
        if self.log_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        settings = SETTINGS | {"unix_socket_directories": '"' + str(self.sockets).replace('"', '""') + '"'}
        command: list[Path | str] = [programs / "postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        _detach(self.log, [self.base, self.sockets, str(account.uid), str(account.gid), *command])

    @property
    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def last_words(self, since: int) -> str:
        """Return why the server did not start, from its log after the first `since` bytes."""
        said = ""
        with suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(since if since <= self.log_size else 0)
            said = log.read(LOG_LIMIT).decode(errors="replace")
        return last_words(said) or "it left no word in its log"

    def delete(self) -> None:
        """Remove all that couponctl created here, except the lock files, which others may be waiting for."""
        sweep(self.base)
        made = [self.data, *self.base.glob("couponctl-pgsql-*")]
        if self.initialised and is_private(self.sockets, self.data.stat().st_uid):
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
                problem=f"{self.data} was made by PostgreSQL {self.major or 'of an unknown version'}, "
                f"but this is PostgreSQL {major}",
                way_out="Save its coupons with the old version's pg_dump and load them into a new database: "
                "set COUPONCTL_DATA_DIR to another directory, or delete this one with `couponctl db reset`.",
            )

    def _provide_sockets(self, account: Account) -> None:
        if is_private(self.sockets, account.uid):
            return
        if self.run.is_symlink():
            self.run.unlink()
        if self.run.exists():
            raise BadSettings(
                problem=f"{self.run} is not couponctl's own, private directory", way_out=OTHER_PLACE
            )
        make_sockets(self.run, account)


def _detach(log: Path, arguments: list[Path | str]) -> None:
    command = [sys.executable, "-I", "-S", supervisor.__file__, supervisor.FIRST, *map(str, arguments)]
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        subprocess.run(
            command,
            check=False,  # a failed supervisor is noticed by the caller
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
        raise Unreachable(
            reason=f"the private PostgreSQL's supervisor has not started within {PATIENCE:g} s"
        ) from error
    finally:
        os.close(descriptor)
