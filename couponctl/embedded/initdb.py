"""Creates a cluster and its socket's directory: under temporary names, then renamed into place."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.embedded import supervisor
from couponctl.embedded.binaries import version
from couponctl.embedded.directory import OTHER_PLACE, half_made, sync, write_private
from couponctl.errors import BadSettings

if TYPE_CHECKING:
    import subprocess

    from couponctl.embedded.os_user import Account

LOGIN = "*:*:*:couponctl:"
"""The beginning of the passfile's line: this role, on any server."""
COMPLAINT = re.compile(r"FATAL:|PANIC:|initdb: error:")
LONGEST_SOCKET_PATH = 103
"""Bytes that every system's socket address can hold."""


def make_data(data: Path, passfile: Path, account: Account, programs: Path) -> None:
    """Create a cluster with the database couponctl, and the file with its role's random password.

    Raises BadSettings with PostgreSQL's own message if that fails.
    """
    with half_made(data.parent) as fresh:
        account.own(fresh)
        password = secrets.token_urlsafe(24)
        write_private(fresh / "passfile", f"{LOGIN}{password}\n")
        write_private(fresh / "password", password)
        account.own(fresh / "password")
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if int(version(programs / "postgres").partition(".")[0]) < 17:
            locale = ["--locale=C.UTF-8"]
        login = ["-U", "couponctl", "--auth=scram-sha-256", f"--pwfile={fresh / 'password'}"]
        place = ["-D", str(fresh / "data")]
        _require(
            account.run(programs / "initdb", *place, *login, "--data-checksums", "--encoding=UTF8", *locale)
        )
        creation = "create database couponctl\n"
        _require(account.run(programs / "postgres", "--single", *place, "postgres", stdin=creation))
        (fresh / "passfile").rename(passfile)
        (fresh / "data").rename(data)
        sync(data.parent)


def make_sockets(run: Path, account: Account) -> None:
    """Create the socket's directory, or a link to a temporary one if an address could not hold its path."""
    if _fits(run):
        with half_made(run.parent) as fresh:
            account.own(fresh)
            fresh.rename(run)
        return
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- mkdtemp below it
        sockets = Path(tempfile.mkdtemp(prefix="couponctl-", dir=parent))
        if _fits(sockets):
            account.own(sockets)
            run.symlink_to(sockets)
            return
        sockets.rmdir()


def last_words(said: str) -> str:
    """Return the last error in PostgreSQL's output, else its last line."""
    lines = [line for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if COMPLAINT.search(line)]
    return COMPLAINT.split((complaints or lines or [""])[-1])[-1].strip()


def _require(made: subprocess.CompletedProcess[str]) -> None:
    if made.returncode == 0:
        return
    reason = last_words(made.stderr) or f"it ended with status {made.returncode} and no word"
    raise BadSettings(problem=f"PostgreSQL could not make its database: {reason}", way_out=OTHER_PLACE)


def _fits(directory: Path) -> bool:
    # A comma separates hosts in every PostgreSQL address.
    address = os.fsencode(directory / supervisor.SOCKET)
    return len(address) <= LONGEST_SOCKET_PATH and b"," not in address
