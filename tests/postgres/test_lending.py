"""Connections on lease: their places come back, whatever is cancelled, and errors leave as they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection

from couponctl.aio.cancellation import task_group
from couponctl.errors import CouponNotFound, SchemaMissing, Unreachable
from couponctl.models import Outcome
from couponctl.postgres import engine
from couponctl.service import CouponService
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database


OWN_BACKENDS = """
    SELECT pid FROM pg_stat_activity
     WHERE application_name = 'couponctl/test' AND datname = current_database()
"""


class SlowClose:
    """A server that does not say good-bye until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        await self.let_go.wait()

    async def cancel_in_it(self, task: asyncio.Task[object]) -> None:
        """Cancel the task that waits for it; it is let go when that has been heard."""
        await self.begun.wait()
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        self.let_go.set()
        await asyncio.wait({task})


@pytest.fixture
async def slow_close(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlowClose]:
    """Connections that SQLAlchemy closes since they are no good any more take their time."""
    close = SlowClose()
    with monkeypatch.context() as patched:
        patched.setattr(
            AsyncAdapt_asyncpg_connection, "_terminate_graceful_close", lambda _connection: close()
        )
        yield close
        close.let_go.set()


@pytest.fixture
def tried_out_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_RESTED", -1.0)


@pytest.fixture
def never_tried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_RESTED", 3600.0)


@pytest.fixture
async def dead_connection(
    database: Database, strategy: Strategy, coupon: Coupon, observer: asyncpg.Connection
) -> None:
    """The pool has connections that have claimed, and their backends have been terminated since."""
    await CouponService(database, strategy=strategy).claim(coupon.name, "before")
    own = [row["pid"] for row in await observer.fetch(OWN_BACKENDS)]
    await observer.executemany("SELECT pg_terminate_backend($1)", [(pid,) for pid in own])
    await until(lambda: observer.fetch(OWN_BACKENDS), [])


async def assert_its_place_is_back(service: CouponService, coupon: Coupon) -> None:
    stats = service.pool_stats()
    assert (stats.in_use, stats.waiting) == (0, 0)
    assert (await service.claim(coupon.name, "after")).outcome is Outcome.CLAIMED


@pytest.mark.usefixtures("tried_out_each_time", "dead_connection")
async def test_a_place_comes_back_when_a_claim_is_cancelled_while_what_failed_its_try_out_is_closed(
    database: Database, strategy: Strategy, coupon: Coupon, slow_close: SlowClose
) -> None:
    service = CouponService(database, strategy=strategy)
    claim = asyncio.create_task(service.claim(coupon.name, "cancelled"))
    await slow_close.cancel_in_it(claim)

    assert claim.cancelled()
    await assert_its_place_is_back(service, coupon)


@pytest.mark.usefixtures("never_tried_out", "dead_connection")
async def test_a_place_comes_back_when_a_claim_is_cancelled_while_what_died_under_it_is_closed(
    database: Database, strategy: Strategy, coupon: Coupon, slow_close: SlowClose
) -> None:
    service = CouponService(database, strategy=strategy)
    claim = asyncio.create_task(service.claim(coupon.name, "cancelled"))
    await slow_close.cancel_in_it(claim)

    assert claim.cancelled()
    await assert_its_place_is_back(service, coupon)


@pytest.mark.usefixtures("tried_out_each_time")
async def test_a_place_comes_back_when_a_question_is_cancelled_in_its_try_out_and_again_in_the_closing(
    service: CouponService, coupon: Coupon, slow_close: SlowClose, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying = asyncio.Event()

    async def answer_nothing(_connection: object) -> None:
        trying.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(AsyncAdapt_asyncpg_connection, "_async_ping", answer_nothing)
        question = asyncio.create_task(service.show(coupon.name))
        await trying.wait()
        question.cancel()
        await slow_close.cancel_in_it(question)

    assert question.cancelled()
    await assert_its_place_is_back(service, coupon)


@pytest.mark.parametrize("lend", ["session", "autocommit"])
@pytest.mark.parametrize("error", [ZeroDivisionError(), CouponNotFound("SPRING")], ids=["any", "ours"])
async def test_what_is_no_drivers_error_leaves_a_loan_as_it_is(
    database: Database, lend: str, error: Exception
) -> None:
    with pytest.raises(type(error)) as raised:
        async with getattr(database, lend)():
            raise error

    assert raised.value is error
    assert error.__cause__ is None


async def test_an_error_that_ends_a_group_of_tasks_keeps_its_cause() -> None:
    async def ask() -> None:
        raise SchemaMissing from KeyError("coupons")

    with pytest.raises(SchemaMissing) as raised:
        async with task_group() as group:
            group.create_task(ask())

    assert isinstance(raised.value.__cause__, KeyError)


async def test_the_place_of_an_aborted_connection_comes_back(service: CouponService, coupon: Coupon) -> None:
    async def abort_it() -> None:
        async with service.database.autocommit(coupon=coupon.name) as lease:
            connection: asyncpg.Connection = lease.fairy.driver_connection
            connection.terminate()
            raise ZeroDivisionError

    with pytest.raises(Unreachable):
        await abort_it()

    await assert_its_place_is_back(service, coupon)
