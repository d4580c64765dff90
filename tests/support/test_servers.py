"""The tests' own choice of a server: never one that is not marked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support import servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.clones import Clones


def test_a_named_server_must_be_marked(
    clones: Clones, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(servers.NAMED, empty_database_url)

    with pytest.raises(pytest.exit.Exception, match="not marked for tests"), servers.test_server(tmp_path):
        raise AssertionError("the server was used")

    database = urlsplit(empty_database_url).path.removeprefix("/")
    clones.execute(empty_database_url, f"ALTER DATABASE {database} SET couponctl.test_server = 'yes'")
    with servers.test_server(tmp_path) as (name, url):
        assert (name, url) == (servers.NAMED, empty_database_url)
