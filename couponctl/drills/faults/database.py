"""Faults for drills: each is a context manager and is undone however it exits.

They affect only the drill's own schema, and only backends that the drill itself opened.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from couponctl.aio.cancellation import shielded
from couponctl.errors import Unavailable
from couponctl.ledger.tables import coupons
from couponctl.logs import logger
from couponctl.models import label

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.postgres.database import Database

_log = logger(__name__)

_PATIENCE = 10.0
"""Seconds that a fault waits for the claims that it is meant for."""


@dataclass
class Fault:
    """Something broken on purpose, and how often it took effect."""

    name: str
    happened: int = 0


class Point(Enum):
    """A moment inside a claim, as the trigger that fires there."""

    AFTER_LOCK = "TRIGGER fault BEFORE INSERT ON {schema}.claims"
    AFTER_INSERT = "TRIGGER fault AFTER INSERT ON {schema}.claims"
    AFTER_UPDATE = "TRIGGER fault AFTER UPDATE ON {schema}.coupons"
    COMMIT = "CONSTRAINT TRIGGER fault AFTER INSERT ON {schema}.claims DEFERRABLE INITIALLY DEFERRED"

    @property
    def words(self) -> str:
        return label(self.name.lower())


class Backends:
    """The backends of one application on the server, seen from outside its pool."""

    def __init__(self, observer: Database, application: str) -> None:
        self._observer = observer
        self._application = application

    async def waiting(self) -> int:
        """Return how many wait for a lock."""
        return await self._count("count(*)")

    async def terminate_waiting(self) -> int:
        """Terminate those that wait for a lock; return how many there were."""
        number = await self._count("count(*) FILTER (WHERE pg_terminate_backend(pid))")
        _log.info("The drill has terminated %s of its backends, on purpose.", number)
        return number

    async def until_waiting(self, number: int) -> None:
        """Wait until at least `number` of them wait for a lock. Raises Unavailable if that takes too long."""
        deadline = monotonic() + _PATIENCE
        while await self.waiting() < number:
            if monotonic() > deadline:
                raise Unavailable
            await asyncio.sleep(0.005)

    async def _count(self, what: str) -> int:
        async with self._observer.session("AUTOCOMMIT") as session:
            counted = await session.execute(
                text(f"""
                    SELECT {what} FROM (
                        SELECT pid FROM pg_stat_activity
                         WHERE application_name = :application AND usename = current_user
                           AND datname = current_database() AND wait_event_type = 'Lock'
                        OFFSET 0) AS waiting
                """),  # noqa: S608 - one of the two constants above
                {"application": self._application},
            )
            return int(counted.scalar_one())


@asynccontextmanager
async def held_row(observer: Database, coupon: str) -> AsyncIterator[Fault]:
    """Lock the coupon's row in another transaction, until the context exits."""
    async with observer.session() as session:
        await session.execute(select(coupons.c.name).where(coupons.c.name == coupon).with_for_update())
        yield Fault("held row lock", happened=1)


@asynccontextmanager
async def drained_pool(database: Database) -> AsyncIterator[Fault]:
    """Keep every connection of the pool in use, until the context exits."""
    async with AsyncExitStack() as held:
        for _ in range(database.limits.pool_size):
            await held.enter_async_context(database.session("AUTOCOMMIT"))
        yield Fault("drained pool", happened=1)


@asynccontextmanager
async def stopped_at(point: Point, observer: Database) -> AsyncIterator[Fault]:
    """Make claims wait for a lock at this point, until the context exits."""
    async with observer.session() as holder:
        key = {"schema": observer.schema}
        await holder.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), key)
        body = f"PERFORM pg_advisory_xact_lock_shared(hashtext('{observer.schema}'));"
        async with _trigger(point, observer, f"stopped {point.words}", body) as fault:
            try:
                yield fault
            finally:
                await shielded(holder.commit())  # waiting claims must go on before the trigger can


@asynccontextmanager
async def failing_at(point: Point, observer: Database) -> AsyncIterator[Fault]:
    """Make claims fail at this point as on a full disk (SQLSTATE 53100)."""
    body = "RAISE EXCEPTION 'a fault of the drill' USING ERRCODE = '53100';"
    async with _trigger(point, observer, f"failing {point.words}", body) as fault:
        yield fault


@asynccontextmanager
async def deadlocked_at(point: Point, observer: Database, times: int = 2**31) -> AsyncIterator[Fault]:
    """Abort claims at this point as a deadlock's victim (SQLSTATE 40P01), the first `times` times."""
    happened = f"{observer.schema}.fault_happened"
    body = (
        f"IF (SELECT last_value <= {times} FROM {happened}) "  # noqa: S608 - a sequence of our own
        "THEN RAISE EXCEPTION 'a fault of the drill' USING ERRCODE = '40P01'; END IF;"
    )
    async with _trigger(point, observer, f"deadlock {point.words}", body) as fault:
        yield fault


@asynccontextmanager
async def slow_at(point: Point, observer: Database, seconds: float) -> AsyncIterator[Fault]:
    """Make claims sleep for `seconds` at this point."""
    async with _trigger(point, observer, f"slow {point.words}", f"PERFORM pg_sleep({seconds});") as fault:
        yield fault


@asynccontextmanager
async def _trigger(point: Point, observer: Database, name: str, body: str) -> AsyncIterator[Fault]:
    schema = observer.schema
    await _run(
        observer,
        f"CREATE SEQUENCE {schema}.fault_happened",
        # A sequence counts even if the transaction is rolled back.
        f"CREATE FUNCTION {schema}.fault() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM nextval('{schema}.fault_happened'); {body} RETURN NEW; END $$",
        f"CREATE {point.value.format(schema=schema)} FOR EACH ROW EXECUTE FUNCTION {schema}.fault()",
    )
    fault = Fault(name)
    try:
        yield fault
    finally:
        fault.happened = await shielded(_undo(observer))


async def _undo(observer: Database) -> int:
    count = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {observer.schema}.fault_happened"  # noqa: S608
    async with observer.session("AUTOCOMMIT") as session:
        happened = int((await session.execute(text(count))).scalar_one())
    await _run(
        observer,
        f"DROP FUNCTION {observer.schema}.fault CASCADE",
        f"DROP SEQUENCE {observer.schema}.fault_happened",
    )
    return happened


async def _run(observer: Database, *statements: str) -> None:
    async with observer.session() as session:
        for statement in statements:
            await session.execute(text(statement))
        await session.commit()
