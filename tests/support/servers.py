"""The PostgreSQL that the tests run on: the first that is there."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import docker
import pytest
from testcontainers.community.postgres import PostgresContainer

from couponctl import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMED = "COUPONCTL_TEST_URL"
"""A server that somebody else runs; it must be marked as one for tests."""

IMAGE = "COUPONCTL_TEST_IMAGE"
"""What a Docker engine runs; postgres:15-alpine unless it says otherwise."""

_MARK = "couponctl.test_server"

_MEMORY = Path("/dev/shm")  # noqa: S108 - only mkdtemp writes there
_ENOUGH = 4 << 30
"""Bytes for the servers of all workers, each with the gigabyte of WAL that it may keep."""


@contextmanager
def open_directory() -> Iterator[Path]:
    """A short path that the server's account may pass through when root runs the tests.

    In memory, where there is room: databases are then cloned in a tenth of the time.
    """
    room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH
    path = Path(tempfile.mkdtemp(prefix="couponctl-test-", dir=_MEMORY if room else None))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@contextmanager
def test_server(base: Path) -> Iterator[tuple[str, str]]:
    """(its name for people, its URL); a private one lives in `base`."""
    if url := os.environ.get(NAMED):
        asyncio.run(_check_mark(url))
        yield NAMED, url
    elif _docker_answers():
        image = os.environ.get(IMAGE, "postgres:15-alpine")
        with PostgresContainer(image, driver=None) as container:
            yield f"{image} in a container", container.get_connection_url()
    else:
        with embedded.running(base) as url:
            yield "the embedded server", url
        embedded.stop(base)


def mark(url: str) -> None:
    """From now on COUPONCTL_TEST_URL may name this server."""
    asyncio.run(_mark(url))


async def _mark(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        database = await connection.fetchval("SELECT quote_ident(current_database())")
        await connection.execute(f"ALTER DATABASE {database} SET {_MARK} = 'yes'")
    finally:
        await connection.close()


async def _check_mark(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        marked = await connection.fetchval("SELECT current_setting($1, true)", _MARK)
    finally:
        await connection.close()
    if marked != "yes":
        pytest.exit(
            f"{NAMED} names a server that is not marked for tests; "
            f"if it may be used: ALTER DATABASE ... SET {_MARK} = 'yes'"
        )


def _docker_answers() -> bool:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://"):
        # The client would leave its socket open when nobody answers.
        with socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(address.removeprefix("unix://"))
            except OSError:
                return False
    client = docker.from_env(timeout=5)
    try:
        return bool(client.ping())
    except docker.errors.DockerException:
        return False
    finally:
        client.close()
