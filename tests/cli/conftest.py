"""What the command line's tests share: damage to the test's database, roles with few rights, contexts."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from couponctl import settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Answer, Couponctl

PASSWORD = "S3cretPw"
"""What no output may ever show."""

Sql = Callable[..., list[Any]]
Role = Callable[..., str]
Context = Callable[..., None]
Json = Callable[..., Any]


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_the_children() -> Iterator[None]:
    # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


@pytest.fixture
def sql(database_url: str) -> Sql:
    """Runs SQL behind couponctl's back; the rows of the last statement."""
    return lambda statement, *values: execute(database_url, statement, *values)


@pytest.fixture
def plant(sql: Sql) -> Callable[..., None]:
    """Puts a coupon and its claims into the tables, whatever couponctl would say to their names."""

    def plant(name: str, amount: int = 10, users: tuple[str, ...] = ()) -> None:
        sql("INSERT INTO coupons VALUES ($1, $2, $3)", name, amount, amount - len(users))
        for user in users:
            sql("INSERT INTO claims VALUES ($1, $2)", name, user)

    return plant


@pytest.fixture
def role(database_url: str) -> Iterator[Role]:
    """Makes a role without any rights but to log in; gives its URL, with the password in it."""
    made: list[str] = []

    def make(options: str = "", *, database: str | None = None) -> str:
        name = f"couponctl_role_{secrets.token_hex(4)}"
        execute(database_url, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {options}")
        made.append(name)
        return login(database_url, name, PASSWORD, database=database)

    yield make
    for name in made:
        execute(database_url, f"DROP OWNED BY {name}")
        execute(database_url, f"DROP ROLE {name}")


def login(url: str, user: str, password: str, *, database: str | None = None) -> str:
    """The same server for another role or database."""
    parts = urlsplit(url)
    query = "&".join(pair for pair in parts.query.split("&") if not pair.startswith("passfile="))
    path = parts.path if database is None else f"/{database}"
    return parts._replace(netloc=f"{user}:{password}@", path=path, query=query).geturl()


@contextmanager
def held(url: str, statement: str) -> Iterator[None]:
    """Hold the statement's locks in an open transaction."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        runner.run(connection.execute(f"BEGIN; {statement}"))
        yield
        runner.run(connection.close())


@pytest.fixture
def context(
    tmp_path: Path, database_url: str, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> Context:
    """Writes a context for the test's database into config.toml and chooses it."""

    def choose(lines: str, url: str = database_url) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f"[contexts.shop]\nurl = {json.dumps(url)}\n{lines}\n")
        config.chmod(0o600)
        monkeypatch.setattr(settings, "config_path", lambda: config)
        monkeypatch.delenv("COUPONCTL_URL")
        monkeypatch.setenv("COUPONCTL_CONTEXT", "shop")

    return choose


@pytest.fixture
def answered(couponctl: Couponctl) -> Json:
    """Runs a command with --json; the document, which must be all that is on stdout."""
    return lambda *arguments: json.loads(couponctl(*arguments, "--json").out)


INTERNALS = re.compile(
    rf"{PASSWORD}|Traceback|asyncpg|sqlalchemy|psycopg|SELECT |INSERT |\$1|Error\b|Exception"
    r"|\b(?=[A-Z]*\d)[0-9][0-9A-Z]{4}\b"  # an SQLSTATE that begins with a digit
)


@pytest.fixture
def refused(couponctl: Couponctl) -> Callable[..., str]:
    """Runs a command on a sick database in every tone of voice; the one sentence that it says."""

    def refused(*command: str, exit_code: int, code: str) -> str:
        plain, verbose, document = (couponctl(*command, *tone) for tone in ([], ["-v"], ["--json"]))
        assert plain.exit_code == verbose.exit_code == document.exit_code == exit_code, plain
        assert plain.err == verbose.err == document.err
        assert (plain.out, verbose.out) == ("", "")
        assert plain.err.count("\n") == 1
        error = json.loads(document.out)["error"]
        assert error["code"] == code
        assert error["hint"], "there is no way out"
        sentence = plain.err.removeprefix("couponctl: ").rstrip("\n")
        assert sentence == f"{error['message']} {error['hint']}"
        assert_discreet(plain, document)
        return sentence

    return refused


def assert_discreet(*answers: Answer) -> None:
    for answer in answers:
        without_ports = re.sub(r":\d+/", "/", answer.out + answer.err)
        assert not INTERNALS.search(without_ports)
