"""The account that runs the server: PostgreSQL refuses root, so for root it is an unprivileged one."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from pathlib import Path

CANDIDATES = ("couponctl", "postgres", "nobody")
"""The accounts that root tries for a new cluster, in this order."""
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
"""The whole environment of PostgreSQL's programs: the operator's PG* variables must not affect them."""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that runs the server; `lent` if couponctl itself runs as root."""

    name: str
    uid: int
    gid: int
    lent: bool

    def run(self, *command: Path | str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program from `/` and return its result; a lent account has no supplementary groups."""
        return subprocess.run(
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            umask=0o077,
            user=self.uid if self.lent else None,
            group=self.gid if self.lent else None,
            extra_groups=[] if self.lent else None,
        )

    def own(self, path: Path) -> None:
        """Give this account a file that root has just created for it."""
        if self.lent:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def barred_by(self, path: Path) -> Path | None:
        """Return the outermost directory, or `path` itself, that this account may not enter or run."""
        if not self.lent:
            return None
        return next((step for step in (*reversed(path.parents), path) if not self._may_enter(step)), None)

    def _may_enter(self, path: Path) -> bool:
        facts = path.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        return bool(facts.st_mode & (stat.S_IXGRP if facts.st_gid == self.gid else stat.S_IXOTH))


def server_account(data: Path) -> Account:
    """Return the account for the server: the current user; for root, the owner of `data` or a candidate.

    Raises BadSettings if there is none.
    """
    me = os.geteuid()
    if me != 0:
        return _oneself(me)
    owner = data.stat().st_uid if data.exists() else None
    if owner == 0:
        raise BadSettings(
            problem=f"PostgreSQL refuses to run as root, and {data} belongs to root",
            way_out="Give it back to its account, or set COUPONCTL_DATA_DIR to another directory.",
        )
    for known in CANDIDATES if owner is None else [owner]:
        try:
            entry = pwd.getpwnam(known) if isinstance(known, str) else pwd.getpwuid(known)
        except KeyError:
            continue
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, lent=True)
    raise BadSettings(
        problem="PostgreSQL refuses to run as root, and there is no unprivileged account for it",
        way_out="Run couponctl as another user, or make an account: `useradd --system couponctl`.",
    )


def _oneself(uid: int) -> Account:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError as error:
        raise BadSettings(
            problem=f"PostgreSQL needs the name of its account, and user {uid} has none here",
            way_out="Run couponctl as a user that has one (as in /etc/passwd), or name a running server in "
            "COUPONCTL_URL.",
        ) from error
    return Account(name, uid, os.getegid(), lent=False)
