"""The library door: which database it opens, what it refuses, and that it leaves nothing open."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from couponctl import BadSettings, Guarded, Outcome, ServiceClosed, embedded, open_service
from tests.support.processes import soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from couponctl import Coupon
    from couponctl.postgres.libpq import Server

BACKENDS = "count(*) FROM pg_stat_activity WHERE application_name = $1"
NOBODY_LISTENS = "postgresql://shop@127.0.0.1:1/shop"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the contexts."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "couponctl" / "config.toml"
    path.parent.mkdir()
    path.touch(0o600)
    return path


@pytest.fixture
def read_only_context(config: Path, database_url: str) -> str:
    config.write_text(f'[contexts.look]\nurl = "{database_url}"\nread_only = true\n')
    return "look"


@pytest.fixture
def private_server(private_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is opened where nothing names a database: not started yet."""
    monkeypatch.setenv("COUPONCTL_DATA_DIR", str(private_base))
    return private_base


async def backends(session: asyncpg.Connection, application: str) -> int:
    return int(await session.fetchval(f"SELECT {BACKENDS}", application))


async def lock_waits(session: asyncpg.Connection) -> int:
    return int(await session.fetchval(f"SELECT {BACKENDS} AND wait_event_type = 'Lock'", "couponctl/shop"))


async def test_a_url_may_hold_the_password(clerk: str, server: Server) -> None:
    where = server.public_url.split("@")[1]

    async with open_service(f"postgresql://{clerk}:clerk@{where}") as service:
        await service.create("SPRING", 1)
        assert (await service.claim("SPRING", "alice")).outcome is Outcome.CLAIMED


async def test_without_arguments_the_environment_names_the_database(
    coupon: Coupon, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", database_url)

    async with open_service() as service:
        assert (await service.show(coupon.name)).coupon == coupon


async def test_a_context_has_its_guards_here_too(read_only_context: str) -> None:
    async with open_service(context=read_only_context) as service:
        assert (await service.list()).coupons == ()
        with pytest.raises(Guarded):
            await service.claim("SPRING", "alice")


@pytest.mark.parametrize("strategy", ["statement", "transaction", "batched"])
async def test_every_strategy_has_a_name(database_url: str, strategy: Any) -> None:
    async with open_service(database_url, strategy=strategy) as service:
        await service.create("SPRING", 3)
        attempts = await asyncio.gather(*(service.claim("SPRING", f"user-{each}") for each in range(5)))
        audit = await service.verify()

    assert service.strategy.name == strategy
    assert [attempt.outcome for attempt in attempts].count(Outcome.CLAIMED) == 3
    assert audit.ok


async def test_a_service_has_the_size_and_the_name_that_were_asked_for(
    database_url: str, observer: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_POOL_SIZE", "7")

    async with (
        open_service(database_url, application="shop", pool_size=2) as two,
        open_service(database_url, application="desk") as seven,
    ):
        await asyncio.gather(two.warm(), seven.warm())
        assert (two.pool_stats().size, seven.pool_stats().size) == (2, 7)
        assert await backends(observer, "couponctl/shop") == 2
        assert await backends(observer, "couponctl/desk") == 7

    await until(lambda: backends(observer, "couponctl/shop"), 0)
    await until(lambda: backends(observer, "couponctl/desk"), 0)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"url": ""}, "url is not a PostgreSQL URL"),
        ({"url": "postgresql+asyncpg://u:S3cretPw@db/shop"}, "Leave the driver out"),
        ({"url": "postgresql://u:S3cret@Pw@db/shop"}, "Percent-encode"),
        ({"url": "postgresql://db", "context": "shop"}, "url and context both name a database"),
        ({"context": "nowhere"}, 'there is no context "nowhere"'),
        (
            {"strategy": "bached"},
            'there is no strategy "bached". Choose one of statement, transaction, batched',
        ),
        ({"pool_size": 0}, "pool_size must be a whole number from 1 to 1000"),
        ({"pool_size": True}, "pool_size must be a whole number from 1 to 1000"),
        ({"application": ""}, "application must be 1 to 50 characters"),
        ({"application": "shop\0"}, "application must be 1 to 50 characters"),
        ({"application": "s" * 51}, "application must be 1 to 50 characters"),
    ],
    ids=str,
)
async def test_a_wrong_argument_is_told_in_a_sentence(
    config: Path, wrong: dict[str, Any], sentence: str
) -> None:
    arguments = {"url": NOBODY_LISTENS, **wrong} if "context" not in wrong else wrong

    with pytest.raises(BadSettings, match=sentence) as caught:
        async with open_service(**arguments):
            pass

    assert "--" not in str(caught.value)
    assert "S3cret" not in str(caught.value)


async def test_a_server_that_is_down_is_an_outcome() -> None:
    async with open_service(NOBODY_LISTENS) as service:
        attempt = await service.claim("SPRING", "alice")

    assert (attempt.outcome, attempt.outcome.status) == (Outcome.UNAVAILABLE, 503)


async def test_a_password_file_that_is_ignored_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pass").touch(0o644)
    (tmp_path / "pass").chmod(0o644)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))

    async with open_service(NOBODY_LISTENS):
        pass

    assert [(record.name, record.levelname) for record in caplog.records] == [("couponctl", "WARNING")]
    assert "chmod 600" in caplog.text


async def test_while_the_private_server_starts_the_event_loop_goes_on(private_server: Path) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    task = asyncio.create_task(others())
    async with open_service() as service:
        during_the_start = turns
        await service.create("SPRING", 1)
        async with open_service() as another:
            assert (await another.claim("SPRING", "alice")).outcome is Outcome.CLAIMED
    task.cancel()

    assert during_the_start > 10
    assert soon(lambda: not embedded.status(private_server).running)


async def test_a_start_that_is_cancelled_leaves_no_server(private_server: Path) -> None:
    async def open_it() -> None:
        async with open_service():
            pytest.fail("it was cancelled before")

    opening = asyncio.create_task(open_it())
    await until(lambda: asyncio.to_thread(private_server.exists), expected=True)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert embedded.status(private_server).initialised, "the start had ended, and was not left to itself"
    assert soon(lambda: not embedded.status(private_server).running)


async def test_a_closed_service_refuses_and_opens_nothing(
    database_url: str, observer: asyncpg.Connection
) -> None:
    async with open_service(database_url, application="shop") as service:
        await service.create("SPRING", 2)

    attempt = await service.claim("SPRING", "alice")
    with pytest.raises(ServiceClosed):
        await service.show("SPRING")

    assert attempt.outcome is Outcome.UNAVAILABLE
    assert isinstance(attempt.refusal, ServiceClosed)
    await until(lambda: backends(observer, "couponctl/shop"), 0)


@pytest.mark.parametrize("strategy", ["statement", "transaction", "batched"])
async def test_claims_that_a_closing_finds_under_way_end_and_leave_no_connection(
    database_url: str, observer: asyncpg.Connection, other_session: asyncpg.Connection, strategy: Any
) -> None:
    async with AsyncExitStack() as stack:
        door = open_service(database_url, application="shop", strategy=strategy)
        service = await stack.enter_async_context(door)
        await service.create("SPRING", 9)
        async with other_session.transaction():
            await other_session.execute("SELECT FROM coupons FOR UPDATE")
            claims = [asyncio.create_task(service.claim("SPRING", f"user-{each}")) for each in range(9)]
            await until(lambda: lock_waits(observer), 1 if strategy == "batched" else 3)
            await stack.aclose()

    assert [(await claim).outcome for claim in claims] == [Outcome.CLAIMED] * 9
    await until(lambda: backends(observer, "couponctl/shop"), 0)
