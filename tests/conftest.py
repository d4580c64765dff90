"""Real PostgreSQL for every test: one server a session, one database a test, cloned from a template."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import pytest

from couponctl import embedded
from couponctl.cli import run
from couponctl.ledger.claims import STRATEGIES, Strategy
from couponctl.ledger.schema import schema_sql
from couponctl.postgres.database import Database, open_database
from couponctl.postgres.libpq import Server, server_at
from couponctl.postgres.limits import Limits
from couponctl.service import CouponService
from tests.support import servers
from tests.support.clones import Clones
from tests.support.quick import is_quick
from tests.support.sessions import PASSWORD, Watch, execute, login, slow_down_commits

if TYPE_CHECKING:
    from couponctl.models import Coupon

for variable in [name for name in os.environ if name.startswith(("PG", "COUPONCTL_"))]:
    # The developer's own database is none of the tests' business.
    if variable not in {servers.NAMED, servers.IMAGE}:
        del os.environ[variable]

# Under nohup it is ignored, by all the programs too that the tests start and hang up on.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test keeps its runs: not among the developer's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="session")
def open_directory() -> Iterator[Path]:
    with servers.open_directory() as path:
        yield path


_SERVER = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def server_url(open_directory: Path, pytestconfig: pytest.Config) -> Iterator[str]:
    with servers.test_server(open_directory / "server") as (name, url):
        pytestconfig.stash[_SERVER] = name
        if (told := getattr(pytestconfig, "workeroutput", None)) is not None:
            told["server"] = name
        yield url


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended."""
    if name := getattr(node, "workeroutput", {}).get("server", ""):  # one that crashed has none
        node.config.stash[_SERVER] = name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storm", type=int, help="of the soak, only the storm with this seed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pictures drawn without a database go to all workers; of the rest, each file stays together."""
    for item in items:
        if is_quick(item):
            item.add_marker(pytest.mark.quick)
        if "opened" not in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.parent.name}/{item.path.stem}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if name := config.stash.get(_SERVER, ""):
        terminalreporter.write_line(f"PostgreSQL of the tests: {name}")


@pytest.fixture
def private_base(open_directory: Path) -> Iterator[Path]:
    """Where a test may let a private server of its own start."""
    base = open_directory / secrets.token_hex(4)
    yield base
    embedded.stop(base, now=True)


@pytest.fixture(scope="session")
def clones(server_url: str) -> Iterator[Clones]:
    """Makes databases that hold the tables and nothing else."""
    clones = Clones(server_url)
    clones.make_template(schema_sql())
    yield clones
    clones.drop_template()


@pytest.fixture
def database_url(clones: Clones) -> Iterator[str]:
    """A database with empty tables, of this test alone."""
    with clones.database() as url:
        yield url


@pytest.fixture
def empty_database_url(clones: Clones) -> Iterator[str]:
    """A database without any tables."""
    with clones.database(template="template1") as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def _signals_reach_the_children() -> Iterator[None]:
    # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def sql(database_url: str) -> Sql:
    """Runs SQL behind couponctl's back; the rows of the last statement."""
    return lambda statement, *values: execute(database_url, statement, *values)


@pytest.fixture
def slow_commits(database_url: str) -> None:
    slow_down_commits(database_url)


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


@pytest.fixture
def watch(database_url: str) -> Iterator[Watch]:
    watch = Watch(database_url)
    yield watch
    watch.close()


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    return {"COUPONCTL_URL": database_url}


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory short enough for the name of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="cc-") as directory:
        yield Path(directory)


@pytest.fixture
def server(database_url: str) -> Server:
    return server_at(database_url, source="the test")


@pytest.fixture
def limits() -> Limits:
    return Limits(pool_size=5)


@pytest.fixture
async def database(server: Server, limits: Limits) -> AsyncIterator[Database]:
    async with open_database(server, limits, application="couponctl/test") as database:
        yield database


@pytest.fixture(params=STRATEGIES, ids=lambda strategy: strategy.name)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    chosen: Strategy = request.param
    return chosen


@pytest.fixture
def service(database: Database) -> CouponService:
    return CouponService(database)


@pytest.fixture
async def other_session(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Another client of the same database, for locks, looks and damage."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close(timeout=5)


@pytest.fixture
async def observer(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Looks at pg_stat_activity, which would stand still inside a transaction."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close(timeout=5)


@pytest.fixture
async def clerk(other_session: asyncpg.Connection) -> AsyncIterator[str]:
    """A role that may use the tables, and nothing else."""
    role = f"clerk_{secrets.token_hex(4)}"
    await other_session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    await other_session.execute(f"GRANT SELECT, INSERT, UPDATE ON coupons, claims TO {role}")
    yield role
    await other_session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def as_clerk(server: Server, role: str) -> Server:
    """The same server for the clerk."""
    url = replace(server, user=role).public_url
    return replace(server_at(url, source="the test", password="clerk"), hosts=(server.hosts[0],))


@pytest.fixture
async def coupon(service: CouponService) -> Coupon:
    """Ten units, none claimed."""
    return await service.create("SPRING", 10)


@pytest.fixture
async def sold_out_coupon(service: CouponService) -> Coupon:
    """One unit, claimed by “winner”."""
    coupon = await service.create("GONE", 1)
    await service.claim(coupon.name, "winner")
    return coupon


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[str]]:
    """What a module has logged in this test, each with its level."""
    caplog.set_level(logging.DEBUG, "couponctl")

    def logged(module: str) -> list[str]:
        name = f"couponctl.{module}"
        return [f"{each.levelname} {each.getMessage()}" for each in caplog.records if each.name == name]

    return logged


class Answer(NamedTuple):
    """What a command line came to."""

    exit_code: int
    out: str
    err: str


Couponctl = Callable[..., Answer]
Sql = Callable[..., list[Any]]
Role = Callable[..., str]


@pytest.fixture
def couponctl(
    database_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Couponctl:
    """Runs a command line on the test's database."""
    monkeypatch.setenv("COUPONCTL_URL", database_url)

    def call(*arguments: str) -> Answer:
        exit_code = run(list(arguments))
        out, err = capfd.readouterr()
        return Answer(exit_code, out, err)

    return call
