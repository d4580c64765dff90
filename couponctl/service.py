"""`CouponService`: all queries and actions, for the command line, the console and the drills."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from couponctl import guards
from couponctl.aio.cancellation import cancel_once, gather_all, task_group
from couponctl.errors import (
    AlreadyClaimed,
    Contended,
    CouponctlError,
    CouponExists,
    CouponNotFound,
    KeyTaken,
    OutcomeUnknown,
    RefusedByDatabase,
    SoldOut,
    Unavailable,
)
from couponctl.input_rules import check_amount, check_asked, check_written
from couponctl.ledger import queries
from couponctl.ledger.audit import audit
from couponctl.ledger.claims import STATEMENT
from couponctl.ledger.claims.batch import Batches
from couponctl.ledger.claims.plain_tables import PlainTables
from couponctl.ledger.claims.savepoint import KEPT_OUT
from couponctl.ledger.schema import ensure_schema
from couponctl.logs import logger
from couponctl.models import Outcome, Phases, Sort
from couponctl.postgres.activity import look
from couponctl.postgres.database import open_database
from couponctl.postgres.server_stats import server_stats
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

    from couponctl.ledger.claims import Strategy
    from couponctl.ledger.claims.savepoint import Answer
    from couponctl.models import Activity, Audit, Claim, Claimants, Coupon, CouponPage, PoolStats, ServerStats
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.settings import Settings


R = TypeVar("R")

_log = logger(__name__)


class Attempt(NamedTuple):
    """One user's attempt to claim one coupon, and how it ended.

    A tuple, like `Phases`: a batched claim creates little else, and a frozen dataclass takes twice as long.
    """

    name: str
    user_id: str
    outcome: Outcome
    refusal: CouponctlError | None = None
    """The error that explains why it is not CLAIMED; None if it is."""
    phases: Phases = Phases()
    resolved: bool = False
    """The first answer was lost, and this one comes from repeating the claim."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a claim is retried after a lost answer or `Contended`, such as a deadlock; delays in seconds.

    The n-th wait is random, up to `base_delay` * 2**n and at most `max_delay`: exponential backoff with
    full jitter, after M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 5
    """Maximum number of attempts, including the first."""
    base_delay: float = 0.05
    max_delay: float = 2.0

    def wait(self, failures: int) -> float:
        """Return a random number of seconds to wait after that many failures."""
        return random.uniform(0, min(self.max_delay, self.base_delay * 2**failures))  # noqa: S311 - jitter


RETRY_POLICY = RetryPolicy()

_CHUNK = 1000
"""Users per batch of `claim_many`; no single user is waiting for an answer."""


class CouponService:
    """The sale: create coupons, claim them, and ask what happened.

    Programs get theirs from `couponctl.open_service`. Any number of tasks of one event loop may use it at
    once: it lends each a connection from its pool, first come, first served.

    Besides the errors that it names, a method that asks the database raises Unavailable when there is no
    answer now (try again later), and Misconfigured when the operator must fix something first.
    """

    def __init__(
        self,
        database: Database,
        *,
        strategy: Strategy = STATEMENT,
        retry_policy: RetryPolicy = RETRY_POLICY,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        """`may_write` raises if nothing may be written."""
        self.database = database
        self.strategy = strategy
        self._claim_once = strategy.on(database)
        self._retry_policy = retry_policy
        self._may_write = may_write

    async def warm(self) -> None:
        """Open every connection, make as many claims on missing coupons, and reset the statistics.

        So no claim of a storm pays for a login, or for SQL that client or server see for the first time.
        """
        each = range(self.database.limits.pool_size)
        await gather_all(*(self._try_a_claim(f"no coupon {number}") for number in each))
        await self.database.warm()

    async def _try_a_claim(self, name: str) -> None:
        with suppress(CouponctlError):  # the first real claim will report it
            await self._claim_once(name, "nobody")

    async def create(self, name: str, amount: int) -> Coupon:
        """Create a coupon with `amount` units. Raises Invalid, CouponExists, Guarded."""
        self._may_write()
        check_written("coupon name", name)
        check_amount(amount)
        return await cancel_once(self._create(name, amount))

    async def _create(self, name: str, amount: int) -> Coupon:
        try:
            async with self.database.session() as session:
                created = await queries.create_coupon(session, name, amount)
                await session.commit()
        except KeyTaken as exc:
            taken: RefusedByDatabase = exc
        except RefusedByDatabase as exc:
            raise replace(exc, what=f'the coupon "{name}"') from exc.__cause__
        else:
            if created is not None:
                return created
            taken = RefusedByDatabase(KEPT_OUT)
        async with self.database.session("AUTOCOMMIT") as session:
            if await queries.find_coupon(session, name) is not None:
                raise CouponExists(name)
        raise replace(taken, what=f'the coupon "{name}"')

    async def claim(self, name: str, user_id: str) -> Attempt:
        """Claim one unit for one user; refusals and a failing database are outcomes, not errors.

        A lost answer is resolved by repeating the claim on another connection: its lock waits for the lost
        transaction to end, and the limit of one claim per user makes it safe. ALREADY_CLAIMED then means
        that the user has it, from the lost claim or an earlier one. Raises Invalid, Misconfigured, Guarded.
        """
        self._may_write()
        check_asked("coupon name", name)
        check_written("user id", user_id)
        try:
            (outcome, phases), resolved = await self._with_retries(self._claim_once, name, user_id)
        except RefusedByDatabase as exc:
            return _refused(exc, name, user_id)
        except Unavailable as exc:
            return Attempt(name, user_id, exc.outcome or Outcome.UNAVAILABLE, exc)
        refusal = _refusal(outcome, name, user_id)
        return Attempt(name, user_id, outcome, refusal, phases, resolved=resolved)

    async def _with_retries(self, work: Callable[..., Awaitable[R]], *about: object) -> tuple[R, bool]:
        """Return the result of repeatable work, and whether repeating it resolved a lost answer.

        Raises Unavailable: OutcomeUnknown if an answer was lost and no retry brought one.
        """
        unknown: OutcomeUnknown | None = None
        failure: Unavailable | None = None
        for failures in range(self._retry_policy.attempts):
            if failure is not None:
                _note_retry(f"{failures + 1} of {self._retry_policy.attempts}", failure)
                await asyncio.sleep(self._retry_policy.wait(failures))
            try:
                result = await work(*about)
            except OutcomeUnknown as exc:
                unknown = failure = exc
            except Unavailable as exc:
                failure = exc
                if unknown is None and not isinstance(exc, Contended):
                    break
            else:
                if unknown is not None:
                    _log.info("Try %s brought the answer that was lost.", failures + 1)
                return result, unknown is not None
        if unknown is not None:
            _log.warning("None of %s tries brought the answer that was lost.", self._retry_policy.attempts)
        assert failure is not None
        raise unknown or failure

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        """Claim one unit for each user, in order, in batches of one commit each.

        `answered` gets the answers batch by batch, so a million users take no more memory than a thousand.
        Safe to repeat: users who already have a claim get ALREADY_CLAIMED.

        Raises CouponNotFound and Guarded before the first claim, Invalid at the first user id that is not
        allowed, Misconfigured, and Unavailable if the database keeps failing: answers handed over stand.
        """
        self._may_write()
        check_asked("coupon name", name)
        async with self.database.session("AUTOCOMMIT") as session:
            if await queries.find_coupon(session, name) is None:
                raise CouponNotFound(name)
        batches = Batches(self.database, name, PlainTables(self.database))
        chunks = _chunks(users)
        chunk = next(chunks, ())
        before: Sequence[Attempt] = ()
        async with task_group() as group:
            while chunk:
                claiming = group.create_task(self._claim_chunk(name, batches, chunk))
                await asyncio.sleep(0)  # sends the batch; the client works on the last one meanwhile
                answered(before)
                chunk = next(chunks, ())
                before = await claiming
        answered(before)

    async def _claim_chunk(self, name: str, batches: Batches, users: Sequence[str]) -> Sequence[Attempt]:
        answers, resolved = await self._with_retries(_claim_batch, batches, users)
        return [
            _refused(answer, name, user)
            if isinstance(answer, RefusedByDatabase)
            else Attempt(name, user, answer, _refusal(answer, name, user), resolved=resolved)
            for user, answer in zip(users, answers, strict=True)
        ]

    async def show(self, name: str, *, limit: int = 100, after: str | None = None) -> Claimants:
        """Return a coupon and a page of its claimants, by user id. Raises Invalid, CouponNotFound."""
        check_asked("coupon name", name)
        check_asked("user id", after or "")
        async with self.database.session("REPEATABLE READ") as session:
            coupon, hidden = await queries.look_up(session, name)
            return await queries.claimants(session, coupon, hidden, limit=limit, after=after)

    async def newest_claimants(self, name: str, *, limit: int = 10) -> tuple[Claim, ...]:
        """Return the coupon's latest claims, newest first; none if there is no such coupon.

        Reads every claim of the coupon: callers that repeat it must limit how often. Raises Invalid.
        """
        check_asked("coupon name", name)
        async with self.database.session("AUTOCOMMIT") as session:
            return await queries.newest_claimants(session, name, limit)

    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        """Return the user's claim, or None. Raises Invalid, CouponNotFound, ClaimNotSeen."""
        check_asked("coupon name", name)
        check_asked("user id", user_id)
        async with self.database.session("REPEATABLE READ") as session:
            coupon, hidden = await queries.look_up(session, name)
            return await queries.find_claim(session, coupon.name, user_id, hidden)

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        """Return a page of the coupons whose name contains `matching`, ignoring case.

        Raises Invalid, and CouponNotFound if `after` no longer exists and `sort` is not by name.
        """
        check_asked("filter", matching)
        check_asked("coupon name", after or "")
        async with self.database.session("REPEATABLE READ") as session:
            return await queries.coupon_page(session, matching=matching, sort=sort, limit=limit, after=after)

    async def verify(self, names: Sequence[str] = ()) -> Audit:
        """Audit the counters against the claims, of these coupons or all. Raises Invalid, CouponNotFound."""
        for name in names:
            check_asked("coupon name", name)
        return await audit(self.database, names)

    def pool_stats(self) -> PoolStats:
        """Return the state of the service's own pool, without asking the server."""
        return self.database.pool_stats()

    async def server_stats(self) -> ServerStats:
        """Return the server's version, connections and lock waits, as far as the role may see them."""
        async with self.database.session("AUTOCOMMIT") as session:
            return await server_stats(session)

    async def activity(self) -> Activity:
        """Return the server's activity, over the pool; `ActivityWatch` uses a connection of its own."""
        return await look(self.database)


def _note_retry(which: str, failure: Unavailable) -> None:
    if isinstance(failure, OutcomeUnknown):
        why = "its answer was lost"
    elif isinstance(failure, Contended):
        why = "a deadlock or other concurrent work broke it off"
    else:
        why = f"the last try ended as {failure.code}"
    _log.info("A claim is made again, try %s: %s.", which, why)


async def _claim_batch(batches: Batches, users: Sequence[str]) -> list[Answer]:
    return await cancel_once(batches.claim(users))


def _chunks(users: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the users in batches. Raises Invalid if a user id of the next batch is not allowed."""
    users = iter(users)
    while chunk := tuple(islice(users, _CHUNK)):
        for user_id in chunk:
            check_written("user id", user_id)
        yield chunk


def _refused(refusal: RefusedByDatabase, name: str, user_id: str) -> Attempt:
    named = replace(refusal, what=f'"{user_id}" for "{name}"')
    return Attempt(name, user_id, Outcome.REFUSED, named)


def _refusal(outcome: Outcome, name: str, user_id: str) -> CouponctlError | None:
    match outcome:
        case Outcome.ALREADY_CLAIMED:
            return AlreadyClaimed(name, user_id)
        case Outcome.SOLD_OUT:
            return SoldOut(name, user_id)
        case Outcome.NOT_FOUND:
            return CouponNotFound(name)
        case _:
            return None


@asynccontextmanager
async def service_on(
    settings: Settings, server: Server, *, application: str, strategy: Strategy = STATEMENT
) -> AsyncIterator[CouponService]:
    """Open a service on a server, over a pool of its own that is closed on exit.

    The embedded server's missing tables are created. Programs use `couponctl.open_service`.
    """
    async with open_database(server, settings.limits, application=application) as database:
        if isinstance(settings.target, Embedded):
            await ensure_schema(database)
        yield CouponService(database, strategy=strategy, may_write=partial(guards.may_write, settings))
