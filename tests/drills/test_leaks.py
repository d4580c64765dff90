"""What a drill leaves behind is found, and what is as it was before is not waited for."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from couponctl.drills import leaks
from couponctl.drills.leaks import footprint, leak_checks, resident_memory, rest_checks
from couponctl.postgres.database import open_database
from couponctl.service import CouponService
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import asyncpg

    from couponctl.drills.check import Check
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def admin(server: Server, limits: Limits) -> AsyncIterator[Database]:
    async with open_database(server, limits, application="couponctl/admin-test") as admin:
        yield admin


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is waited for in vain breaks the test's own deadline."""
    monkeypatch.setattr(leaks, "_SETTLING", 10 * DEADLINE)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_SETTLING", 0.0)


def told(checks: Sequence[Check]) -> list[tuple[str, str, object]]:
    return [(check.id, check.promise, check.observed) for check in checks]


@asynccontextmanager
async def held(server: Server, limits: Limits, application: str) -> AsyncIterator[None]:
    """One task, one backend with its descriptor, two files, two threads and three of asyncio's own."""
    go_on, ended = threading.Event(), asyncio.Event()
    everyone_in = threading.Barrier(6)

    def wait() -> None:
        everyone_in.wait()
        go_on.wait()

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    helpers = [asyncio.get_running_loop().run_in_executor(None, wait) for _ in range(3)]
    everyone_in.wait()
    task = asyncio.create_task(ended.wait())
    try:
        with tempfile.TemporaryFile(), tempfile.TemporaryFile():
            async with open_database(server, limits, application=application) as database:
                async with database.session() as session:
                    await session.execute(text("SELECT 1"))
                yield
    finally:
        go_on.set()
        ended.set()
        await asyncio.gather(task, *helpers)
        for thread in threads:
            thread.join()


async def test_a_footprint_is_all_that_is_held_but_for_what_asyncio_works_with(
    admin: Database, server: Server, limits: Limits
) -> None:
    before = await footprint(admin, "couponctl/test")
    async with held(server, limits, "couponctl/test"):
        after = await footprint(admin, "couponctl/test")

    expected = ["1 tasks", *(["3 descriptors"] if leaks._DESCRIPTORS else []), "1 backends", "2 threads"]
    assert after.beyond(before) == expected
    assert before.beyond(after) == before.beyond(before) == []


async def test_where_the_system_does_not_tell_nothing_is_held(
    admin: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(leaks, "_DESCRIPTORS", None)
    monkeypatch.setattr(leaks, "_MEMORY", tmp_path / "statm")

    assert (await footprint(admin, "couponctl/test")).descriptors == 0
    assert resident_memory() == 0


@pytest.mark.skipif(not leaks._MEMORY.exists(), reason="this system does not tell")
def test_memory_that_is_written_to_is_in_memory() -> None:
    before = resident_memory()
    held = b"x" * (64 << 20)

    assert 60 << 20 < resident_memory() - before < 80 << 20
    assert held


@pytest.mark.usefixtures("impatient")
async def test_what_is_left_of_a_run_is_counted(
    admin: Database, database: Database, server: Server, limits: Limits
) -> None:
    async with database.session() as session:
        await session.execute(text("SELECT 1"))
    before = await footprint(admin, database.application)
    async with held(server, limits, database.application):
        checks = await leak_checks(admin, database.application, before)

    assert before.backends == 1
    assert told(checks) == [
        ("tasks-left", "tasks left running", 1),
        ("descriptors-left", "file descriptors left open", 3 if leaks._DESCRIPTORS else 0),
        ("backends-left", "backends left on the server", 1),
        ("threads-left", "threads left running", 2),
    ]
    assert not any(check.held for check in checks if check.observed)


@pytest.mark.usefixtures("patient")
async def test_a_run_that_leaves_nothing_is_not_waited_for(admin: Database, database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("SELECT 1"))
    before = await footprint(admin, database.application)

    async with asyncio.timeout(DEADLINE):
        checks = [
            *await rest_checks(admin, database),
            *await leak_checks(admin, database.application, before),
        ]

    assert all(check.held for check in checks)
    assert {check.expected for check in checks} == {0}


@pytest.mark.usefixtures("impatient")
async def test_connections_that_are_not_back_as_they_were_lent_are_counted(
    admin: Database, database: Database, coupon: Coupon, observer: asyncpg.Connection
) -> None:
    async def waiting() -> int:
        return database.waiting

    locking = text("SELECT FROM coupons WHERE name = :name FOR UPDATE")
    async with AsyncExitStack() as lent:
        for_good = await lent.enter_async_context(database.session("AUTOCOMMIT"))
        await for_good.execute(text("SELECT pg_advisory_lock(4711)"))
        owner = await lent.enter_async_context(database.session())
        await owner.execute(locking, {"name": coupon.name})
        claims = [asyncio.create_task(CouponService(database).claim(coupon.name, user)) for user in "abc"]
        await until(lambda: observer.fetchval(WAITING), 3)
        last = asyncio.create_task(CouponService(database).claim(coupon.name, "d"))
        await until(waiting, 1)
        checks = await rest_checks(admin, database)
    await asyncio.gather(*claims, last)

    assert told(checks) == [
        ("connections-in-use", "connections still out of the pool", 5),
        ("connection-waits", "claims still waiting for a connection", 1),
        ("idle-in-transaction", "backends idle in transaction", 1),
        ("lock-waits", "backends waiting for a lock", 3),
        ("idle-with-locks", "idle backends that hold a lock", 1),
        ("settings-left", "settings left on pooled connections", 0),
    ]


async def test_what_was_set_on_each_of_the_connections_is_found(admin: Database, database: Database) -> None:
    async with AsyncExitStack() as lent:
        for setting in ("work_mem = '1MB'", "statement_timeout = 4711", "work_mem = '2MB'"):
            session = await lent.enter_async_context(database.session("AUTOCOMMIT"))
            await session.execute(text(f"SET {setting}"))

    left = (await rest_checks(admin, database))[-1]

    assert left.observed == "3: statement_timeout = 4711, work_mem = 1024, work_mem = 2048"


async def test_the_first_measurement_that_is_as_expected_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "_SETTLING", 1.0)
    measured = iter(range(1, 100))

    async def measure() -> int:
        return next(measured)

    assert await leaks._settled(measure, 4) == 4
    assert next(measured) == 5
