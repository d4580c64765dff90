"""Which of several hosts is taken: the one that psql takes, and where none fits, each says why."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from couponctl import embedded
from couponctl.errors import CouponctlError
from couponctl.errors.login import NoHostFits, NotAdmitted
from couponctl.postgres.connect import connect_first_host
from couponctl.postgres.libpq import Server
from couponctl.postgres.limits import Limits
from couponctl.settings import load
from tests.support.clusters import NOBODY, PRIMARY, STANDBY, SUPERUSER, primary_and_standby
from tests.support.programs import finished
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits(connect_timeout=5)


@pytest.fixture(scope="module")
def hosts(open_directory: Path) -> Iterator[Path]:
    """The directory in which a primary and a standby listen."""
    base = open_directory / secrets.token_hex(3)
    with primary_and_standby(base):
        yield base


def environment(hosts: Path, ports: tuple[int, ...], attrs: str, user: str = SUPERUSER) -> dict[str, str]:
    return {
        "PGHOST": ",".join([str(hosts)] * len(ports)),
        "PGPORT": ",".join(map(str, ports)),
        "PGUSER": user,
        "PGDATABASE": "postgres",
        **({"PGTARGETSESSIONATTRS": attrs} if attrs else {}),
        "HOME": "/nonexistent",
        "PATH": os.defpath,
    }


def psqls_choice(given: dict[str, str]) -> str | None:
    command = [str(embedded.binary("psql")), "-XAtwc", "SHOW port"]
    asked = subprocess.run(command, env=given, capture_output=True, check=False, text=True)
    return asked.stdout.strip() if asked.returncode == 0 else None


async def choice(given: dict[str, str]) -> str | None:
    try:
        connection = await connect_first_host(server(given), LIMITS, "couponctl/test")
    except CouponctlError:
        return None
    try:
        return str(await connection.fetchval("SHOW port"))
    finally:
        await connection.close()


def server(given: dict[str, str]) -> Server:
    target = load(environ=given).target
    assert isinstance(target, Server)
    return target


ATTRS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
PORTS = (
    (PRIMARY,),
    (STANDBY,),
    (NOBODY,),
    (PRIMARY, STANDBY),
    (STANDBY, PRIMARY),
    (NOBODY, STANDBY, PRIMARY),
    (NOBODY, PRIMARY),
    (STANDBY, STANDBY),
)


@pytest.mark.parametrize("ports", PORTS, ids=str)
@pytest.mark.parametrize("attrs", ATTRS)
async def test_the_host_is_taken_that_psql_takes(hosts: Path, ports: tuple[int, ...], attrs: str) -> None:
    given = environment(hosts, ports, attrs)

    assert await choice(given) == psqls_choice(given)


async def test_of_several_one_that_takes_writes_where_nothing_else_is_said(hosts: Path) -> None:
    given = environment(hosts, (STANDBY, PRIMARY), "")

    assert await choice(given) == str(PRIMARY)


async def test_hosts_of_which_none_fits_say_what_each_of_them_is(hosts: Path) -> None:
    with pytest.raises(NoHostFits) as refused:
        await connect_first_host(
            server(environment(hosts, (STANDBY, STANDBY), "primary")), LIMITS, "couponctl/test"
        )
    assert refused.value.reason.count(f"[{hosts}]:{STANDBY}: is a standby") == 2

    given = environment(hosts, (NOBODY, STANDBY), "read-write")
    with pytest.raises(CouponctlError) as refusal:
        await connect_first_host(server(given), LIMITS, "couponctl/test")
    assert f":{NOBODY}: no server listens on that socket; " in str(refusal.value)
    assert f":{STANDBY}: takes no writes: a standby" in str(refusal.value)


async def test_a_role_without_a_line_in_pg_hba_conf(hosts: Path) -> None:
    with pytest.raises(NotAdmitted) as refused:
        await connect_first_host(
            server(environment(hosts, (PRIMARY,), "any", "bob")), LIMITS, "couponctl/test"
        )

    assert "role bob to database postgres through this socket" in str(refused.value)


def test_whoever_only_reads_may_use_a_standby(hosts: Path) -> None:
    primary = environment(hosts, (PRIMARY,), "any")
    assert finished("db", "init", environment=primary).exit_code == 0
    assert finished("create", "A", "1", environment=primary).exit_code in {0, 13}
    standby = environment(hosts, (PRIMARY, STANDBY), "standby")

    ends = time.monotonic() + DEADLINE
    while finished("show", "A", environment=standby).exit_code != 0:
        assert time.monotonic() < ends, "the standby does not follow"
    for command in ("list", "show A", "verify", "stats"):
        assert finished(*command.split(), environment=standby).exit_code == 0, command


@pytest.mark.parametrize("command", ["create B 1", "claim A u", "db init", "drill scale --yes"])
def test_whoever_writes_hears_that_a_standby_was_asked_for(hosts: Path, command: str) -> None:
    ended = finished(*command.split(), environment=environment(hosts, (PRIMARY, STANDBY), "standby"))

    assert ended.exit_code == 2
    assert b"target_session_attrs=standby looks for a server that takes no writes" in ended.err
    assert ended.err.count(b"\n") == 1
