"""Under whose account the server runs: PostgreSQL refuses root, so root lends it an unprivileged one."""

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
"""All that the programs of PostgreSQL get: no PG* variable of the operator changes what they do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server; `lent` when that is not who runs couponctl."""

    name: str
    uid: int
    gid: int
    lent: bool

    def run(self, *command: Path | str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The finished program: under this uid and gid, without any further group, from `/`."""
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
        """Give this account what root has just created for it."""
        if self.lent:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def barred_by(self, path: Path) -> Path | None:
        """The outermost directory, or the file itself, that keeps this account from entering `path`."""
        if not self.lent:
            return None
        return next((step for step in (*reversed(path.parents), path) if not self._may_enter(step)), None)

    def _may_enter(self, path: Path) -> bool:
        facts = path.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        return bool(facts.st_mode & (stat.S_IXGRP if facts.st_gid == self.gid else stat.S_IXOTH))


def server_account(data: Path) -> Account:
    """The account for the server: oneself, or as root the owner of `data`, or the first candidate.

    Raises BadSettings when there is none.
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
