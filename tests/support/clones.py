"""Databases for tests: each a clone of one template, each dropped after its test."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clones:
    """Makes and drops databases on one server; hands out URLs, never connections."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._template = f"couponctl_template_{secrets.token_hex(4)}"

    def make_template(self, ddl: str) -> None:
        self.execute(self._server_url, f"CREATE DATABASE {self._template}")
        self.execute(self.url_of(self._template), ddl)

    def drop_template(self) -> None:
        self.execute(self._server_url, f"DROP DATABASE {self._template} WITH (FORCE)")

    @contextmanager
    def database(self, template: str | None = None, options: str = "") -> Iterator[str]:
        name = f"couponctl_test_{secrets.token_hex(4)}"
        template = template or self._template
        self.execute(self._server_url, f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(self._server_url, f"DROP DATABASE {name} WITH (FORCE)")

    def url_of(self, database: str) -> str:
        return urlsplit(self._server_url)._replace(path=f"/{database}").geturl()

    @staticmethod
    def execute(url: str, sql: str) -> None:
        """Run SQL, several statements if need be, on a connection of its own."""

        async def execute() -> None:
            connection = await asyncpg.connect(url)
            try:
                await connection.execute(sql)
            finally:
                await connection.close()

        asyncio.run(execute())
