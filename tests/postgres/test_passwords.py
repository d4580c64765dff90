"""Passwords from files and homes: couponctl logs in where psql does, and where psql does not it does not.

psql is the oracle: both get the same environment and the same file.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from couponctl import embedded
from couponctl.errors import CouponctlError
from couponctl.postgres.connect import connect_first_host
from couponctl.postgres.libpq import Server
from couponctl.postgres.limits import Limits
from couponctl.settings import load
from tests.support.programs import finished
from tests.support.sessions import execute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = r"s3:cr\et é"
WRITTEN = r"s3\:cr\\et é"


@pytest.fixture(scope="module")
def ann(server_url: str) -> Iterator[dict[str, str]]:
    """The environment for a role with an odd password, but without the password."""
    quoted = PASSWORD.replace("'", "''")
    execute(server_url, f"CREATE ROLE \"ann:o\\hara\" LOGIN PASSWORD '{quoted}'")
    parts = urlsplit(server_url)
    query = parse_qs(parts.query)
    directory = query["host"][0] if "host" in query else str(parts.hostname)
    yield {
        "PGHOST": directory,
        "PGPORT": query["port"][0] if "port" in query else str(parts.port or 5432),
        "PGUSER": r"ann:o\hara",
        "PGDATABASE": "postgres",
        "PGCONNECT_TIMEOUT": "5",
    }
    execute(server_url, 'DROP ROLE "ann:o\\hara"')


def psql_logs_in(environment: dict[str, str]) -> bool:
    command = [str(embedded.binary("psql")), "-XAtwc", "SELECT current_user"]
    asked = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
    assert asked.returncode == 2 or asked.stdout == "ann:o\\hara\n"
    return asked.returncode == 0


def couponctl_logs_in(environment: dict[str, str]) -> bool:
    async def log_in() -> bool:
        server = load(environ=environment).target
        assert isinstance(server, Server)
        try:
            connection = await connect_first_host(server, Limits(), "couponctl/test")
        except CouponctlError:
            return False
        assert await connection.fetchval("SELECT current_user") == r"ann:o\hara"
        await connection.close()
        return True

    return asyncio.run(log_in())


USER = r"ann\:o\\hara"
FILES = {
    "everywhere": (f"*:*:*:*:{WRITTEN}\n", True),
    "no end of line": (f"*:*:*:*:{WRITTEN}", True),
    "an end of line as on Windows": (f"*:*:*:*:{WRITTEN}\r\n", True),
    "every field named": (f"HOST:PORT:postgres:{USER}:{WRITTEN}\n", True),
    "an unescaped user": (f"*:*:*:ann:o\\hara:{WRITTEN}\n", False),
    "escapes where none are needed": (f"*:*:\\p\\o\\stgres:*:{WRITTEN}\n", True),
    "an escaped star": (f"\\*:*:*:*:{WRITTEN}\n", False),
    "a star and more": (f"**:*:*:*:{WRITTEN}\n", False),
    "an unescaped password": (f"*:*:*:*:{PASSWORD}\n", False),
    "more behind the password": (f"*:*:*:*:{WRITTEN}:and more\n", True),
    "blanks before": (f" *:*:*:*:{WRITTEN}\n", False),
    "blanks behind": (f"*:*:*:*:{WRITTEN} \n", False),
    "another host": (f"other:*:*:*:{WRITTEN}\n", False),
    "localhost": (f"localhost:*:*:*:{WRITTEN}\n", False),
    "another port": (f"*:1:*:*:{WRITTEN}\n", False),
    "another database": (f"*:*:other:*:{WRITTEN}\n", False),
    "the second that fits": (f"*:*:other:*:no\n*:*:*:*:{WRITTEN}\n", True),
    "the first that fits": (f"*:*:*:*:no\n*:*:*:*:{WRITTEN}\n", False),
    "too few fields": (f"*:*:*\nhost\n:\n\\\n*:*:*:*\n*:*:*:*:{WRITTEN}\n", True),
    "a comment": (f"# *:*:*:*:no\n#\n\n*:*:*:*:{WRITTEN}\n", True),
    "a comment in Latin-1": (f"# caf\udce9\n*:*:*:*:{WRITTEN}\n", True),
    "another's password in Latin-1": (f"*:*:*:bob:caf\udce9\n*:*:*:*:{WRITTEN}\n", True),
    "a NUL": (f"*:*:*:bob:x\0y\n*:*:*:*:{WRITTEN}\n", False),
    "a NUL, and a line that is whole": (f"*:*:*:bob:x\0y\n\n*:*:*:*:{WRITTEN}\n", True),
    "nothing": ("", False),
    "no password": ("*:*:*:*:\n", False),
}


@pytest.mark.parametrize(("text", "lets_in"), FILES.values(), ids=[*FILES])
def test_a_password_file_is_read_as_psql_reads_it(
    ann: dict[str, str], tmp_path: Path, text: str, lets_in: bool
) -> None:
    file = tmp_path / "passwords"
    text = text.replace("HOST", ann["PGHOST"].replace(":", "\\:")).replace("PORT", ann["PGPORT"])
    file.write_bytes(text.encode(errors="surrogateescape"))
    file.chmod(0o600)
    environment = {**ann, "HOME": str(tmp_path), "PGPASSFILE": str(file)}

    assert psql_logs_in(environment) is couponctl_logs_in(environment) is lets_in


HOMES = {
    "a file in the home": ("HOME", {}, True),
    "a home that is not there": ("/nonexistent", {}, False),
    "a home that is a file": ("/etc/passwd", {}, False),
    "a home that leads to itself": ("LOOP", {}, False),
    "a home with a name that is too long": ("/" + "x" * 300, {}, False),
    "a file that is not there": ("HOME", {"PGPASSFILE": "/nonexistent/pgpass"}, False),
    "a directory for a file": ("HOME", {"PGPASSFILE": "/"}, False),
    "an empty variable": ("HOME", {"PGPASSFILE": ""}, True),
    "the password itself": ("LOOP", {"PGPASSWORD": PASSWORD}, True),
    "an empty password": ("HOME", {"PGPASSWORD": ""}, True),
}


@pytest.mark.parametrize(("home", "given", "lets_in"), HOMES.values(), ids=[*HOMES])
def test_a_home_is_searched_as_psql_does(
    ann: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: str,
    given: dict[str, str],
    lets_in: bool,
) -> None:
    (tmp_path / ".pgpass").write_text(f"*:*:*:*:{WRITTEN}\n")
    (tmp_path / ".pgpass").chmod(0o600)
    (tmp_path / "loop").symlink_to("loop")
    home = {"HOME": str(tmp_path), "LOOP": str(tmp_path / "loop")}.get(home, home)
    environment = {**ann, "HOME": home, **given}
    monkeypatch.setenv("HOME", home)

    assert psql_logs_in(environment) is couponctl_logs_in(environment) is lets_in


@pytest.mark.parametrize("home", ["nonexistent", "loop", "closed"])
def test_a_home_that_cannot_be_entered_stops_no_command(server_url: str, tmp_path: Path, home: str) -> None:
    """Over TCP, where certificates would be looked for in it; nobody listens there."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "closed").mkdir(0o000)
    # root may enter any; without these two it is like others
    powers = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    environment = {"HOME": str(tmp_path / home), "PGHOST": "127.0.0.1", "PGPORT": "1"}

    ended = finished("list", environment=environment, through=powers)

    assert (ended.exit_code, ended.err.count(b"\n")) == (3, 1), ended.err
    assert b"connection refused" in ended.err


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_reach_is_ignored_and_told_of_once(
    ann: dict[str, str], tmp_path: Path, mode: int
) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"*:*:*:*:{WRITTEN}\n")
    file.chmod(mode)
    environment = {**ann, "HOME": str(tmp_path), "PGPASSFILE": str(file)}

    assert psql_logs_in(environment) is couponctl_logs_in(environment) is False
    for command in (("list",), ("db", "init"), ("list", "--json")):
        ended = finished(*command, environment=environment)
        warning, refusal = ended.err.decode().splitlines()
        assert warning == (
            f"couponctl: the password file {file} can be reached by others and is ignored; "
            f"run: chmod 600 {file}"
        )
        assert "no password was found" in refusal
        assert ended.exit_code == 2


def test_a_password_that_is_not_utf_8_is_named(ann: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_bytes(b"*:*:*:*:caf\xe9\n")
    file.chmod(0o600)

    ended = finished("list", environment={**ann, "PGPASSFILE": str(file)})

    assert (ended.exit_code, ended.err.count(b"\n")) == (2, 1)
    assert b"the password in" in ended.err
