"""`CouponService`: every question and every action, for the command line, the console and the drills."""

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
from couponctl.ledger.claims.by_trial import KEPT_OUT
from couponctl.ledger.claims.shape import Shape
from couponctl.ledger.schema import ensure_schema
from couponctl.models import Outcome, Phases, Sort
from couponctl.postgres.activity import look
from couponctl.postgres.database import open_database
from couponctl.postgres.server_stats import server_stats
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence

    from couponctl.ledger.claims import Strategy
    from couponctl.ledger.claims.by_trial import Answer
    from couponctl.models import Activity, Audit, Claim, Claimants, Coupon, CouponPage, PoolStats, ServerStats
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.settings import Settings


R = TypeVar("R")


class Attempt(NamedTuple):
    """One user's attempt to claim one coupon, and how it ended.

    A tuple, as `Phases` is: a batched claim makes little else, and a frozen dataclass takes twice as long.
    """

    name: str
    user_id: str
    outcome: Outcome
    refusal: CouponctlError | None = None
    """Why it is not CLAIMED, in words; None when it is."""
    phases: Phases = Phases()
    resolved: bool = False
    """An answer was lost, and this one comes from making the same claim again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a claim is tried again after a lost answer or a deadlock, and the wait between, in seconds.

    The wait doubles from `base_delay` to `max_delay` and is drawn with full jitter, after M. Brooker,
    "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    attempts: int = 5
    base_delay: float = 0.05
    max_delay: float = 2.0

    def wait(self, failures: int) -> float:
        """Seconds to wait after that many failures."""
        return random.uniform(0, min(self.max_delay, self.base_delay * 2**failures))  # noqa: S311 - jitter


RETRY_POLICY = RetryPolicy()

_CHUNK = 1000
"""Users of one batch in a bulk grant; nobody waits for the first of them."""


class CouponService:
    """The sale: create coupons, claim them, and ask what happened."""

    def __init__(
        self,
        database: Database,
        *,
        strategy: Strategy = STATEMENT,
        retry_policy: RetryPolicy = RETRY_POLICY,
        may_write: Callable[[], None] = lambda: None,
    ) -> None:
        """`may_write` raises where nothing may be written."""
        self.database = database
        self.strategy = strategy
        self._claim_once = strategy.on(database)
        self._retry_policy = retry_policy
        self._may_write = may_write

    async def warm(self) -> None:
        """Open every connection, have it claim what is not there, and count from here.

        So no claim of a storm pays for a login, or is the first whose SQL the client or the server sees.
        """
        each = range(self.database.limits.pool_size)
        await gather_all(*(self._rehearse(f"no coupon {number}") for number in each))
        await self.database.warm()

    async def _rehearse(self, name: str) -> None:
        with suppress(CouponctlError):  # what is wrong shows when it counts
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
        """Claim one unit for one user; the sale's refusals and a failing database are answers too.

        A lost answer is resolved by making the same claim again on another connection: its lock waits
        for the lost one to end, and one claim a user makes it safe. ALREADY_CLAIMED then means that
        the user has it, be it from the lost claim or from before. Raises Invalid, Misconfigured, Guarded.
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
        """The result of work that may be done again, and whether a lost answer was resolved by that.

        Raises Unavailable: OutcomeUnknown where an answer was lost and no try brought another.
        """
        unknown: OutcomeUnknown | None = None
        failure: Unavailable
        for failures in range(self._retry_policy.attempts):
            if failures:
                await asyncio.sleep(self._retry_policy.wait(failures))
            try:
                return await work(*about), unknown is not None
            except OutcomeUnknown as exc:
                unknown = failure = exc
            except Unavailable as exc:
                failure = exc
                if unknown is None and not isinstance(exc, Contended):
                    break
        raise unknown or failure

    async def claim_many(
        self, name: str, users: Iterable[str], answered: Callable[[Sequence[Attempt]], None]
    ) -> None:
        """Claim for each user in their order, the first first, in batches of one commit each.

        Every batch's answers are handed over as they come, so a million users take no more memory than a
        thousand. Safe to repeat: who has claimed already is told so.

        Raises CouponNotFound, Misconfigured and Guarded before the first claim; Invalid at the first user id
        that cannot be, and Unavailable where the database goes on failing: what was handed over stands.
        """
        self._may_write()
        check_asked("coupon name", name)
        async with self.database.session("AUTOCOMMIT") as session:
            if await queries.find_coupon(session, name) is None:
                raise CouponNotFound(name)
        batches = Batches(self.database, name, Shape(self.database))
        chunks = _chunks(users)
        chunk = next(chunks, ())
        before: Sequence[Attempt] = ()
        async with task_group() as group:
            while chunk:
                claiming = group.create_task(self._claim_chunk(name, batches, chunk))
                await asyncio.sleep(0)  # it is on its way, and the client has its hands free meanwhile
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
        """A coupon and a page of its claimants by user id. Raises Invalid, CouponNotFound."""
        check_asked("coupon name", name)
        check_asked("user id", after or "")
        async with self.database.session("REPEATABLE READ") as session:
            coupon, hidden = await queries.look_up(session, name)
            return await queries.claimants(session, coupon, hidden, limit=limit, after=after)

    async def newest_claimants(self, name: str, *, limit: int = 10) -> tuple[Claim, ...]:
        """Who claimed the coupon last, newest first; nobody where there is no such coupon.

        It reads every claim of the coupon: callers that repeat it bound how often. Raises Invalid.
        """
        check_asked("coupon name", name)
        async with self.database.session("AUTOCOMMIT") as session:
            return await queries.newest_claimants(session, name, limit)

    async def find_claim(self, name: str, user_id: str) -> Claim | None:
        """Whether this user got it: the claim, or None. Raises Invalid, CouponNotFound."""
        check_asked("coupon name", name)
        check_asked("user id", user_id)
        async with self.database.session("REPEATABLE READ") as session:
            coupon, hidden = await queries.look_up(session, name)
            return await queries.find_claim(session, coupon.name, user_id, hidden)

    async def list(
        self, *, matching: str = "", sort: Sort = Sort.NAME, limit: int = 100, after: str | None = None
    ) -> CouponPage:
        """A page of the coupons whose name contains `matching`, case ignored.

        Raises Invalid, and CouponNotFound where `after` is gone and the order is not that of names.
        """
        check_asked("filter", matching)
        check_asked("coupon name", after or "")
        async with self.database.session("REPEATABLE READ") as session:
            return await queries.coupon_page(session, matching=matching, sort=sort, limit=limit, after=after)

    async def verify(self, names: Sequence[str] = ()) -> Audit:
        """Hold the counters against the claims, of these coupons or of all. Raises CouponNotFound."""
        for name in names:
            check_asked("coupon name", name)
        return await audit(self.database, names)

    def pool_stats(self) -> PoolStats:
        return self.database.pool_stats()

    async def server_stats(self) -> ServerStats:
        async with self.database.session("AUTOCOMMIT") as session:
            return await server_stats(session)

    async def activity(self) -> Activity:
        """The server and its backends, over the pool; `ActivityWatch` looks from outside."""
        return await look(self.database)


async def _claim_batch(batches: Batches, users: Sequence[str]) -> list[Answer]:
    return await cancel_once(batches.claim(users))


def _chunks(users: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The users in batches. Raises Invalid when one of the next batch cannot be a user."""
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
async def open_service(
    settings: Settings, server: Server, *, application: str, strategy: Strategy = STATEMENT
) -> AsyncIterator[CouponService]:
    """The service over a pool of its own, closed at the end; the embedded server gets its tables."""
    async with open_database(server, settings.limits, application=application) as database:
        if isinstance(settings.target, Embedded):
            await ensure_schema(database)
        yield CouponService(database, strategy=strategy, may_write=partial(guards.may_write, settings))
