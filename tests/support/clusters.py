"""Servers of a test's own: a primary, and a standby that follows it, on sockets in a private directory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from couponctl.embedded.binaries import programs_for
from couponctl.embedded.os_user import server_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUPERUSER = "couponctl"
PRIMARY, STANDBY, NOBODY = 5432, 5433, 5434
"""Their ports, and one on which nobody listens."""

_HBA = f"local all {SUPERUSER} trust\nlocal replication {SUPERUSER} trust\n"


@contextmanager
def primary_and_standby(base: Path) -> Iterator[None]:
    """Both live in `base`, a path open to the server's account; only the superuser is let in."""
    account = server_account(base)
    base.mkdir(0o711)
    programs = programs_for(account, base)
    account.own(base)

    def run(program: str, *arguments: object) -> None:
        done = account.run(programs / program, *map(str, arguments))
        assert done.returncode == 0, done

    started: list[Path] = []
    try:
        for name, port in (("primary", PRIMARY), ("standby", STANDBY)):
            data = base / name
            if port == PRIMARY:
                run("initdb", "-D", data, "-U", SUPERUSER, "--auth=trust", "--no-sync", "--encoding=UTF8")
                (data / "pg_hba.conf").write_text(_HBA)
            else:
                source = ("-h", base, "-p", PRIMARY, "-U", SUPERUSER)
                run("pg_basebackup", "-R", "-c", "fast", "--no-sync", "-D", data, *source)
            options = f"-c listen_addresses= -c port={port} -c fsync=off -c unix_socket_directories={base}"
            run("pg_ctl", "-w", "-D", data, "-l", base / f"{name}.log", "-o", options, "start")
            started.append(data)
        yield
    finally:
        for data in reversed(started):
            run("pg_ctl", "-w", "-m", "immediate", "-D", data, "stop")
