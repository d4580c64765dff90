"""The engine, its pool, and connections on loan from it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Literal

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from couponctl.cancellation import to_its_end, together
from couponctl.driver_errors import READ_ONLY, sqlstate_of, translated
from couponctl.errors import PoolExhausted
from couponctl.models import Phases, PoolStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from sqlalchemy import CursorResult, Executable
    from sqlalchemy.engine.interfaces import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from couponctl.libpq import Server
    from couponctl.settings import Limits

Isolation = Literal["READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"]
"""How a session's statements see the data; in AUTOCOMMIT each is a transaction of its own."""

_REMEMBERED_ACQUIRES = 1000
"""Acquire times kept for the percentiles, at most."""
_PERCENTILE_SPAN = 60.0
"""Seconds of acquires that the percentiles are over."""

_ABANDONED_CHECK = "2s"
"""How often the server looks whether a client that it works for is still there."""


class Session:
    """A connection on loan from the pool, and how far the work on it has come.

    `committing` is true from the moment a commit is sent until its answer is here: what fails then
    has an unknown outcome, what fails earlier was rolled back.
    """

    def __init__(self, connection: AsyncConnection, pool_wait: float) -> None:
        self.connection = connection
        self.committing = False
        self._spent = {"pool_wait": pool_wait}
        self._lap_start = perf_counter()

    async def execute(
        self, statement: Executable, parameters: Mapping[str, object] | None = None
    ) -> CursorResult[Any]:
        """Run a statement inside the session's transaction, which the first one opens."""
        return await self.connection.execute(statement, parameters)

    async def execute_committing(
        self, statement: Executable, parameters: Mapping[str, object]
    ) -> CursorResult[Any]:
        """Run a statement that is a transaction of its own, in an autocommit session."""
        self.committing = True
        result = await self.connection.execute(statement, parameters)
        self.committing = False
        return result

    async def commit(self) -> None:
        self.committing = True
        await self.connection.commit()
        self.committing = False

    def lap(self, phase: str) -> None:
        """Book the time since the last lap on `phase`, a field of `Phases`."""
        now = perf_counter()
        self._spent[phase] = self._spent.get(phase, 0.0) + now - self._lap_start
        self._lap_start = now

    @property
    def phases(self) -> Phases:
        return Phases(**self._spent)


class PoolWatch:
    """What the pool does not tell: who waits for a connection, how long, and the peaks."""

    def __init__(self, pool: AsyncAdaptedQueuePool) -> None:
        self._pool = pool
        self.waiting = 0
        self._peak_in_use = 0
        self._peak_waiting = 0
        self._acquires = 0
        self._failures = 0
        self._acquired: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED_ACQUIRES)

    @contextmanager
    def waiter(self) -> Iterator[None]:
        """Somebody waits, because every connection is lent."""
        self.waiting += 1
        self._peak_waiting = max(self._peak_waiting, self.waiting)
        try:
            yield
        finally:
            self.waiting -= 1

    def acquired(self, seconds: float) -> None:
        self._acquires += 1
        self._acquired.append((monotonic(), seconds))
        self._peak_in_use = max(self._peak_in_use, self._pool.checkedout())

    def gave_up(self) -> None:
        """The wait for a connection took too long."""
        self._failures += 1

    def stats(self) -> PoolStats:
        since = monotonic() - _PERCENTILE_SPAN
        # The copy is one step of the interpreter: another thread may be adding to it.
        times = sorted(seconds for moment, seconds in tuple(self._acquired) if moment > since)
        return PoolStats(
            size=self._pool.size(),
            in_use=self._pool.checkedout(),
            idle=self._pool.checkedin(),
            waiting=self.waiting,
            peak_in_use=self._peak_in_use,
            peak_waiting=self._peak_waiting,
            acquires=self._acquires,
            acquire_failures=self._failures,
            acquire_p50_ms=nearest_rank(times, 0.50, scale=1000),
            acquire_p99_ms=nearest_rank(times, 0.99, scale=1000),
        )


def nearest_rank(ordered: Sequence[float], share: float, *, scale: float = 1) -> float | None:
    """The nearest-rank percentile of sorted values, so always one that was measured; None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] * scale


class Database:
    """One server, reached through one pool, in one event loop.

    `schema` sends every statement to the tables of that schema; statements are qualified rather than
    the search_path set, which a pooler in transaction mode would lose.
    """

    def __init__(
        self, server: Server, limits: Limits, *, application: str, schema: str | None = None
    ) -> None:
        self.server = server
        self.limits = limits
        self.application = application
        self.schema = schema
        self._slots = asyncio.Semaphore(limits.pool_size)
        self._just_opened: dict[asyncio.Task[Any] | None, asyncpg.Connection] = {}
        self._engine = _engine(self._open_connection, limits, schema)
        assert isinstance(self._engine.pool, AsyncAdaptedQueuePool)
        self._pool = self._engine.pool
        self._watch = PoolWatch(self._pool)

    @asynccontextmanager
    async def session(self, isolation: Isolation = "READ COMMITTED") -> AsyncIterator[Session]:
        """Lend a connection; what was not committed when it comes back is rolled back.

        Driver errors leave as the errors of `couponctl.errors`: PoolExhausted, Unreachable, TimedOut,
        OutcomeUnknown, ...
        """
        session: Session | None = None
        try:
            async with self._acquired(isolation) as session:
                yield session
        except Exception as exc:
            error = translated(exc, self.server, self.limits, committing=bool(session and session.committing))
            if error is None:
                raise
            raise error from exc

    @asynccontextmanager
    async def _acquired(self, isolation: Isolation) -> AsyncIterator[Session]:
        asked_at = perf_counter()
        await self._wait_for_slot()
        try:
            connection = await self._checked_out()
            waited = perf_counter() - asked_at
            self._watch.acquired(waited)
            try:
                await connection.execution_options(isolation_level=isolation)
                yield Session(connection, waited)
            finally:
                # One that is still on its way back when the pool closes would never be closed.
                await to_its_end(connection.close())
        finally:
            self._slots.release()

    async def _wait_for_slot(self) -> None:
        """Queue for a connection here, first come, first served: the pool's own queue counts nobody."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        with self._watch.waiter():
            try:
                async with asyncio.timeout(self.limits.acquire_timeout):
                    await self._slots.acquire()
            except TimeoutError:
                self._watch.gave_up()
                raise PoolExhausted(self.limits.pool_size, self.limits.acquire_timeout) from None

    async def _checked_out(self) -> AsyncConnection:
        connection = self._engine.connect()
        try:
            await connection.start()
        except BaseException:
            self._terminate_just_opened()
            raise
        self._just_opened.pop(asyncio.current_task(), None)
        return connection

    async def _open_connection(self) -> asyncpg.Connection:
        connection = await _connect(self.server, self.limits, self.application)
        self._just_opened[asyncio.current_task()] = connection
        return connection

    def _terminate_just_opened(self) -> None:
        # SQLAlchemy prepares a connection with queries of its own before the pool knows it, and forgets
        # it when it is cancelled there (sqlalchemy#13548); its backend would stay for good.
        connection = self._just_opened.pop(asyncio.current_task(), None)
        if connection is not None:
            connection.terminate()

    async def warm(self) -> None:
        """Open every connection of the pool and count from here, so that no claim pays for a login."""
        everyone_in = asyncio.Barrier(self.limits.pool_size)

        async def hold_one() -> None:
            async with self.session("AUTOCOMMIT"):
                await everyone_in.wait()

        await together(*(hold_one() for _ in range(self.limits.pool_size)))
        self._watch = PoolWatch(self._pool)

    @property
    def waiting(self) -> int:
        """Tasks waiting for a connection."""
        return self._watch.waiting

    def pool_stats(self) -> PoolStats:
        return self._watch.stats()

    async def close(self) -> None:
        """Close every connection; a server that does not say good-bye is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.limits.command_timeout):
                await self._engine.dispose()


@asynccontextmanager
async def open_database(
    server: Server, limits: Limits, *, application: str, schema: str | None = None
) -> AsyncIterator[Database]:
    """A database whose connections are closed at the end; the first one opens at first use."""
    database = Database(server, limits, application=application, schema=schema)
    try:
        yield database
    finally:
        await to_its_end(database.close())


def _engine(
    connect: Callable[[], Awaitable[asyncpg.Connection]], limits: Limits, schema: str | None
) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        isolation_level="READ COMMITTED",
        hide_parameters=True,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=limits.acquire_timeout,
        pool_pre_ping=True,
        execution_options={"schema_translate_map": {None: schema}} if schema else {},
    )

    @event.listens_for(engine.sync_engine, "handle_error")
    def leave_a_demoted_primary(context: ExceptionContext) -> None:
        if sqlstate_of(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    return engine


async def _connect(server: Server, limits: Limits, application: str) -> asyncpg.Connection:
    """A connection to the first host that takes one; each host has `connect_timeout` of its own.

    The driver's timeout would cover all hosts together, and one that swallows packets would eat it.
    """
    tried: Exception | None = None
    for host in server.hosts:
        try:
            return await asyncpg.connect(
                server.dsn,
                host=host.host,
                port=host.port,
                timeout=limits.connect_timeout,
                command_timeout=limits.command_timeout,
                target_session_attrs="read-write" if len(server.hosts) > 1 else None,
                server_settings=_session_settings(limits, application),
            )
        except (
            OSError,
            asyncpg.CannotConnectNowError,
            asyncpg.ConnectionDoesNotExistError,
            asyncpg.TooManyConnectionsError,
            asyncpg.TargetServerAttributeNotMatched,
        ) as exc:
            tried = exc
    assert tried is not None
    raise tried


def _session_settings(limits: Limits, application: str) -> dict[str, str]:
    """The server's own limits: they end before the client's, so the connection survives them."""
    return {
        "application_name": application,
        "default_transaction_isolation": "read committed",
        "lock_timeout": f"{limits.lock_timeout * 1000:.0f}",
        "statement_timeout": f"{limits.statement_timeout * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{limits.command_timeout * 1000:.0f}",
        "client_connection_check_interval": _ABANDONED_CHECK,
    }
