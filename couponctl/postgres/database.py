"""Leases: connections lent from the pool."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from logging import DEBUG, INFO
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

from couponctl.aio.cancellation import gather_all, shielded
from couponctl.errors import PoolExhausted, ServiceClosed
from couponctl.logs import logger
from couponctl.models import Phases
from couponctl.postgres.connect import connect_first_host
from couponctl.postgres.engine import engine_on
from couponctl.postgres.errors import READ_ONLY, Stage, sqlstate_of, translated
from couponctl.postgres.pool_stats import PoolWatch
from couponctl.postgres.queue import FairQueue
from couponctl.postgres.troubles import ExhaustionNotes, note_end, note_failed_work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import PoolProxiedConnection

    from couponctl.errors import CouponctlError
    from couponctl.models import PoolStats
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

_log = logger(__name__)

Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"]
"""How a session's statements see the data; with AUTOCOMMIT, each is a transaction of its own."""

MAX_PER_COUPON = 3
"""Maximum number of connections for one coupon's claims: more would only queue for its row on the server.

One is being sent, one holds the lock, one has its answer: measured, two or three are the fastest.
"""

_DIALECT = PGDialect_asyncpg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Turn(NamedTuple):
    """A place granted by the queue, which `session` or `autocommit` takes and releases."""

    coupon: str | None
    asked_at: float
    left: PoolProxiedConnection | None
    """The last holder's connection; None to take one from the pool."""


class Lease:
    """A lease: a connection lent from the pool, and how far the work on it has come.

    `committing` is true from sending a commit until its answer arrives: a failure then has an unknown
    outcome, an earlier one was rolled back.
    """

    def __init__(self, pool_wait: float) -> None:
        self.committing = False
        self._spent = {"pool_wait": pool_wait}
        self._lap_start = perf_counter()

    def lap(self, phase: str) -> None:
        """Add the time since the last lap to `phase`, a field of `Phases`."""
        now = perf_counter()
        self._spent[phase] = self._spent.get(phase, 0.0) + now - self._lap_start
        self._lap_start = now

    @property
    def phases(self) -> Phases:
        return Phases(**self._spent)


class Session(Lease):
    """A lease that runs SQLAlchemy statements in transactions."""

    def __init__(self, connection: AsyncConnection, schema: str | None, pool_wait: float) -> None:
        super().__init__(pool_wait)
        self.connection = connection
        self.schema = schema
        """Where the tables are; None to follow the search_path."""

    async def execute(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> CursorResult[Any]:
        """Run a statement in the session's transaction, which the first statement opens."""
        return await self.connection.execute(statement, parameters)

    async def commit(self) -> None:
        self.committing = True
        await self.connection.commit()
        self.committing = False


class AutocommitLease(Lease):
    """A lease that sends single statements, each a transaction of its own, straight to the driver.

    SQLAlchemy compiles their SQL and manages the pool; executing through it costs more than all the rest
    of a claim.
    """

    def __init__(
        self, fairy: PoolProxiedConnection, schema: str | None, coupon: str | None, pool_wait: float
    ) -> None:
        super().__init__(pool_wait)
        self.fairy = fairy
        self.coupon = coupon
        self.lost = False
        """The connection broke during the work."""
        driver = fairy.driver_connection
        assert isinstance(driver, asyncpg.Connection)
        self._driver = driver
        self._schema = schema

    @property
    def gone(self) -> bool:
        return bool(self._driver.is_closed())

    def note_end(self) -> None:
        if self.lost:
            note_end(self._driver, INFO, "was lost")
        else:
            note_end(self._driver, DEBUG, "is discarded, as its work was broken off")

    async def fetch_row(self, statement: Executable, parameters: Mapping[str, object]) -> asyncpg.Record:
        """Return the first row of a statement that writes nothing."""
        sql, bound = _compiled(statement, self._schema)
        return await self._driver.fetchrow(sql, *[parameters.get(name, value) for name, value in bound])

    async def fetch_row_committing(
        self, statement: Executable, parameters: Mapping[str, object]
    ) -> asyncpg.Record:
        """Do the same for a statement that writes."""
        self.committing = True
        row = await self.fetch_row(statement, parameters)
        self.committing = False
        return row


class _Lending:
    """An asynchronous context manager of two functions; a generator-based one costs a tenth of a claim."""

    def __init__(
        self,
        lend: Callable[[], Awaitable[AutocommitLease]],
        take_back: Callable[[AutocommitLease, BaseException | None], Awaitable[None]],
    ) -> None:
        self._lend = lend
        self._take_back = take_back

    async def __aenter__(self) -> AutocommitLease:
        self._direct = await self._lend()
        return self._direct

    async def __aexit__(
        self, _kind: type[BaseException] | None, exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        await self._take_back(self._direct, exc)


@lru_cache(maxsize=256)
def _compiled(statement: Executable, schema: str | None) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Return the SQL for the driver, and its parameters in order with the statement's own values."""
    compiled = statement.compile(  # type: ignore[attr-defined]
        dialect=_DIALECT,
        schema_translate_map={None: schema} if schema else None,
        render_schema_translate=bool(schema),
    )
    return str(compiled), tuple((name, compiled.params[name]) for name in compiled.positiontup)


class Database:
    """One server, reached through one pool, in one event loop.

    With `schema`, every statement uses the tables of that schema. Its name is written into the statements,
    because a pooler in transaction mode would lose a search_path.
    """

    def __init__(
        self, server: Server, limits: Limits, *, application: str, schema: str | None = None
    ) -> None:
        self.server = server
        self.limits = limits
        self.application = application
        self.schema = schema
        self._queue: FairQueue[PoolProxiedConnection] = FairQueue(
            limits.pool_size, max_per_key=MAX_PER_COUPON, discard=self._returned_to_pool
        )
        self._closed = False
        self._just_opened: dict[asyncio.Task[Any] | None, asyncpg.Connection] = {}
        self._engine = engine_on(self._open_connection, limits, schema)
        assert isinstance(self._engine.pool, AsyncAdaptedQueuePool)
        self._pool = self._engine.pool
        self._watch = PoolWatch(self._pool, self._queue)
        self._exhaustion = ExhaustionNotes(limits)

    @asynccontextmanager
    async def session(
        self,
        isolation: Isolation = "READ COMMITTED",
        *,
        coupon: str | None = None,
        turn: Turn | None = None,
    ) -> AsyncIterator[Session]:
        """Lend a connection; uncommitted work is rolled back when it is returned.

        `coupon` names the coupon whose row will be locked, for which MAX_PER_COUPON connections are enough;
        `turn` is the place of a caller that has already queued.

        Driver errors are raised as those of `couponctl.errors`: PoolExhausted, Unreachable, TimedOut,
        OutcomeUnknown, ...
        """
        session: Session | None = None
        try:
            turn = turn or await self.turn(coupon)
            try:
                if turn.left is not None:
                    turn.left.close()
                connection = await self._checked_out()
                try:
                    session = Session(connection, self.schema, self._acquired_since(turn.asked_at))
                    await connection.execution_options(isolation_level=isolation)
                    yield session
                finally:
                    # A connection still being returned when the pool closes would never be closed.
                    await shielded(self._given_back(connection))
            finally:
                self._queue.release(turn.coupon)
        except Exception as exc:
            if (own := self._translated(exc, session)) is None:
                raise
            raise own from exc

    def autocommit(
        self, *, coupon: str | None = None, turn: Turn | None = None
    ) -> AbstractAsyncContextManager[AutocommitLease]:
        """Lend a connection for statements that are transactions of their own. Raises as `session` does.

        It is handed straight to the next in the queue, so that claims in a storm skip the pool.
        """
        return _Lending(partial(self._lend, coupon, turn), self._take_back)

    async def _lend(self, coupon: str | None, turn: Turn | None) -> AutocommitLease:
        try:
            turn = turn or await self.turn(coupon)
            fairy = turn.left or await self._fairy(turn.coupon)
        except Exception as exc:
            if (own := self._translated(exc, None)) is None:
                raise
            raise own from exc
        return AutocommitLease(fairy, self.schema, turn.coupon, self._acquired_since(turn.asked_at))

    async def _take_back(self, lease: AutocommitLease, exc: BaseException | None) -> None:
        # Only a plain answer of the server makes the connection's state certain.
        if exc is None or (not lease.gone and sqlstate_of(exc) not in {None, READ_ONLY}):
            self._queue.release(lease.coupon, lease.fairy)
        else:
            lease.lost = lease.gone
            try:
                lease.note_end()
                await shielded(greenlet_spawn(lease.fairy.invalidate))
            finally:
                lease.fairy.close()
                self._queue.release(lease.coupon)
        if isinstance(exc, Exception) and (own := self._translated(exc, lease)) is not None:
            raise own from exc

    def _translated(self, exc: Exception, lease: Lease | None) -> CouponctlError | None:
        if lease is None:
            return translated(exc, self.server, self.limits, Stage.CONNECTING)
        stage = Stage.COMMITTING if lease.committing else Stage.WORKING
        lost = isinstance(lease, AutocommitLease) and lease.lost
        own = translated(exc, self.server, self.limits, stage, lost=lost)
        note_failed_work(own, self.server)
        return own

    def _acquired_since(self, asked_at: float) -> float:
        waited = perf_counter() - asked_at
        self._watch.acquired(waited)
        return waited

    async def turn(self, coupon: str | None) -> Turn:
        """Wait for a place in the queue; a cancellation at any moment leaves nothing behind.

        Raises PoolExhausted after `acquire_timeout`, and ServiceClosed at once.
        """
        if self._closed:
            raise ServiceClosed
        asked_at = perf_counter()
        if not self._queue.open_to(coupon):
            self._watch.queued()
        try:
            return Turn(coupon, asked_at, await self._queue.acquire(self.limits.acquire_timeout, coupon))
        except TimeoutError:
            self._watch.gave_up()
            self._exhaustion.add(waiting=self.waiting)
            raise PoolExhausted(self.limits.pool_size, self.limits.acquire_timeout) from None

    async def _given_back(self, connection: AsyncConnection) -> None:
        if self._closed:
            await connection.invalidate()  # the pool that it would go back to is never closed again
        await connection.close()

    def _returned_to_pool(self, fairy: PoolProxiedConnection) -> None:
        if self._closed:
            fairy.invalidate()
        fairy.close()

    async def _checked_out(self) -> AsyncConnection:
        connection = self._engine.connect()
        try:
            await connection.start()
        except BaseException:
            self._terminate_just_opened()
            raise
        self._just_opened.pop(asyncio.current_task(), None)
        return connection

    async def _fairy(self, coupon: str | None) -> PoolProxiedConnection:
        try:
            fairy: PoolProxiedConnection = await greenlet_spawn(self._pool.connect)
        except BaseException:
            self._terminate_just_opened()
            self._queue.release(coupon)
            raise
        self._just_opened.pop(asyncio.current_task(), None)
        return fairy

    async def _open_connection(self) -> asyncpg.Connection:
        connection = await connect_first_host(self.server, self.limits, self.application)
        self._just_opened[asyncio.current_task()] = connection
        return connection

    def _terminate_just_opened(self) -> None:
        # SQLAlchemy prepares a connection with queries of its own before the pool knows it, and forgets
        # it if cancelled there (sqlalchemy#13548); its backend would stay forever.
        connection = self._just_opened.pop(asyncio.current_task(), None)
        if connection is not None:
            note_end(connection, INFO, "is terminated, as it was left half prepared for the pool")
            connection.terminate()

    async def warm(self) -> None:
        """Open every connection of the pool, so that no claim pays for a login, and reset the statistics."""
        everyone_in = asyncio.Barrier(self.limits.pool_size)

        async def hold_one() -> None:
            async with self.session("AUTOCOMMIT"):
                await everyone_in.wait()

        await gather_all(*(hold_one() for _ in range(self.limits.pool_size)))
        self._watch = PoolWatch(self._pool, self._queue)

    @property
    def waiting(self) -> int:
        """Tasks waiting for a connection."""
        return self._queue.waiting

    def pool_stats(self) -> PoolStats:
        return self._watch.stats()

    async def close(self) -> None:
        """Close every connection, waiting for the server at most `command_timeout`.

        Work that has begun goes on, and its connections are closed when they come back; new work is refused.
        """
        self._closed = True
        try:
            async with asyncio.timeout(self.limits.command_timeout):
                await self._engine.dispose()
        except TimeoutError:
            _log.warning("The pool did not close within %g s and is given up.", self.limits.command_timeout)


@asynccontextmanager
async def open_database(
    server: Server, limits: Limits, *, application: str, schema: str | None = None
) -> AsyncIterator[Database]:
    """Open a database: it connects at its first use, and closes every connection on exit."""
    database = Database(server, limits, application=application, schema=schema)
    try:
        yield database
    finally:
        await shielded(database.close())
