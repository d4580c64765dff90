"""From settings to a server that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from couponctl.server import server_for
from couponctl.settings import load

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_variables_meant_for_another_server_do_not_lock_us_out_of_our_own(
    private_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "of another server")
    monkeypatch.setenv("PGUSER", "somebody")
    settings = load(environ={"COUPONCTL_DATA_DIR": str(private_base)})

    with server_for(settings) as server:
        (host,) = server.hosts
        connection = await asyncpg.connect(server.dsn, host=host.host, port=host.port)
        assert await connection.fetchval("SELECT current_user") == "couponctl"
        await connection.close()

    assert "password" not in repr(server)


def test_a_server_that_is_named_is_taken_as_it_is() -> None:
    settings = load(environ={"COUPONCTL_URL": "postgresql://u@h/d"})

    with server_for(settings) as server:
        assert server is settings.target
