"""Other sessions on the tests' server: statements behind couponctl's back, locks, looks, logins."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg

from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "S3cretPw"
"""What no output may ever show."""

TRACES = """
    SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'
    UNION ALL
    SELECT application_name FROM pg_stat_activity
     WHERE application_name LIKE 'couponctl/%' AND datname = current_database()
"""


def execute(url: str, statement: str, *values: object) -> list[Any]:
    async def on_a_connection() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            if values:
                return list(await connection.fetch(statement, *values))
            *first, last = statement.split(";\n")
            for each in first:
                await connection.execute(each)
            return list(await connection.fetch(last))
        finally:
            await connection.close()

    return asyncio.run(on_a_connection())


def run_script(url: str, script: str) -> None:
    """Several statements in one transaction."""

    async def on_a_connection() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(on_a_connection())


def login(url: str, user: str, password: str, *, database: str | None = None) -> str:
    """The same server for another role or database."""
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("passfile="))
    path = parts.path if database is None else f"/{database}"
    return parts._replace(netloc=f"{user}:{password}@", path=path, query=query).geturl()


def slow_down_commits(url: str) -> None:
    """From now on each commit takes 50 ms, as on a slow disk: claims queue for their row."""
    database = urlsplit(url).path.removeprefix("/")
    for setting in ("commit_delay = 50000", "commit_siblings = 0"):  # microseconds; whoever else commits
        execute(url, f"ALTER DATABASE {database} SET {setting}")


@contextmanager
def held(url: str, statement: str) -> Iterator[None]:
    """Hold the statement's locks in an open transaction."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute(f"BEGIN; {statement}"))
        yield
        runner.run(connection.close())


class Watch:
    """A connection of the test's own, which looks until it sees."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))

    def query(self, statement: str) -> list[Any]:
        return list(self._runner.run(self._connection.fetch(statement)))

    def until(self, statement: str, *, found: bool = True) -> list[Any]:
        """The rows as soon as there are any, or none."""
        ends = time.monotonic() + DEADLINE
        while bool(rows := self.query(statement)) is not found:
            assert time.monotonic() < ends, f"{rows} after {DEADLINE:g} s of {statement}"
        return rows

    def close(self) -> None:
        if not self._connection.is_closed():
            self._connection.terminate()
        self._runner.close()
