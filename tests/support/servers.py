"""The PostgreSQL that the tests run on: the first that is there."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg
import docker
import pytest
from testcontainers.community.postgres import PostgresContainer

from couponctl import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMED = "COUPONCTL_TEST_URL"
"""A server that somebody else runs; it must be marked as one for tests."""

IMAGE = "COUPONCTL_TEST_IMAGE"
"""What a Docker engine runs; postgres:15-alpine unless it says otherwise."""

_MARK = "couponctl.test_server"


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
