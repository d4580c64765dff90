"""The context of a drill: a service on the drill's own schema, an observer beside it, and the journal."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from couponctl.aio.cancellation import task_group
from couponctl.drills.check import Check, none_of
from couponctl.drills.journal import Creation, Entry, Journal, Ledger
from couponctl.errors import CouponctlError, CouponNotFound
from couponctl.ledger.queries import all_claims, find_coupon, in_calendar
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Outcome

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from sqlalchemy import Row

    from couponctl.drills.faults.database import Fault
    from couponctl.drills.progress import Progress
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.service import Attempt, CouponService


CANCELLED = "cancelled"
"""The sentence of an attempt that was cancelled before its answer."""


class ServiceFailed(Exception):
    """The service under attack raised an undocumented error."""


@contextmanager
def service_call(call: str) -> Iterator[None]:
    """Wrap a call to the service. Raises ServiceFailed in place of anything but a CouponctlError."""
    try:
        yield
    except CouponctlError:
        raise
    except Exception as exc:
        # A type of its own, so that a bug in the drill itself is not blamed on the service.
        raise ServiceFailed(f"{call} raised {type(exc).__name__}") from exc


class StartLine:
    """Holds runners back until all have arrived, then releases them in one turn of the event loop."""

    def __init__(self, runners: int) -> None:
        self._missing = runners
        self._all_here = asyncio.Event()
        self._released_at = 0.0

    async def wait(self) -> float:
        """Wait for all runners; return the time of the release, the same for all."""
        self._missing -= 1
        if self._missing == 0:
            self._released_at = perf_counter()
            self._all_here.set()
        await self._all_here.wait()
        return self._released_at


@dataclass(frozen=True, slots=True)
class DrillContext:
    """What a drill may use."""

    run_id: str
    service: CouponService
    """The service under attack, over the pool under attack."""
    observer: Callable[[], AbstractAsyncContextManager[Database]]
    """Opens a new database on the same schema, outside that pool."""
    journal: Journal
    progress: Progress
    random: random.Random
    """Seeded: all randomness of a drill comes from here."""
    through: Callable[[Server], AbstractAsyncContextManager[CouponService]]
    """Opens the service over a pool of its own, through another address of the same server."""
    faults: list[Fault] = field(default_factory=list)

    @property
    def application(self) -> str:
        """The application_name of every connection under attack."""
        return self.service.database.application

    async def create(self, coupon: str, amount: int) -> None:
        self.journal.asked.add(coupon)
        with service_call("create"):
            told = await self.service.create(coupon, amount)
        self.journal.created[coupon] = Creation(amount, perf_counter(), told)

    @asynccontextmanager
    async def fault(self, fault: AbstractAsyncContextManager[Fault]) -> AsyncIterator[Fault]:
        """Inject a fault and record it: a fault that never took effect proves nothing."""
        async with fault as effective:
            self.faults.append(effective)
            yield effective

    async def storm(self, coupon: str, users: Sequence[str]) -> None:
        """Let every user claim at the same instant: one task per user, released together over a warm pool."""
        self.progress.stage = "claiming"
        self.progress.expect(len(users))
        line = StartLine(len(users))
        async with task_group() as group:
            for user in users:
                group.create_task(self._claim_from(line, coupon, user), name=user)

    async def _claim_from(self, line: StartLine, coupon: str, user_id: str) -> None:
        await self._attempt(self.service, coupon, user_id, await line.wait())

    async def claim(self, coupon: str, user_id: str, service: CouponService | None = None) -> Outcome:
        """Make one claim now, through `service` if it is given, else through the context's own."""
        self.progress.expect(1)
        return await self._attempt(service or self.service, coupon, user_id, perf_counter())

    async def _attempt(self, service: CouponService, coupon: str, user_id: str, intended: float) -> Outcome:
        start = perf_counter()
        answer = partial(Entry, coupon, user_id, intended, start)
        try:
            attempt = await service.claim(coupon, user_id)
        except asyncio.CancelledError:
            self._record(answer(perf_counter(), Outcome.UNKNOWN, CANCELLED))
            raise
        except Exception as exc:  # noqa: BLE001 - whatever else a claim raises is a finding, not a crash
            sentence = str(exc) if isinstance(exc, CouponctlError) else type(exc).__name__
            self._record(answer(perf_counter(), Outcome.UNKNOWN, sentence, unexpected=True))
            return Outcome.UNKNOWN
        told = answer(perf_counter(), attempt.outcome, str(attempt.refusal or ""), attempt.phases)
        another = (attempt.name, attempt.user_id) != (coupon, user_id)
        self._record(replace(told, resolved=attempt.resolved, misaddressed=another))
        return attempt.outcome

    async def claim_many(self, coupon: str, users: Sequence[str]) -> list[Outcome]:
        """Claim for a list of users; return the outcomes as they came in. Raises what the service raises."""
        self.progress.expect(len(users))
        start = perf_counter()
        outcomes: list[Outcome] = []

        def answered(attempts: Sequence[Attempt]) -> None:
            for each in attempts:
                words = str(each.refusal or "")
                made = Entry(coupon, each.user_id, start, start, perf_counter(), each.outcome, words)
                another = each.name != coupon
                self._record(replace(made, phases=each.phases, resolved=each.resolved, misaddressed=another))
                outcomes.append(each.outcome)

        with service_call("claim_many"):
            await self.service.claim_many(coupon, users, answered)
        return outcomes

    def _record(self, entry: Entry) -> None:
        self.journal.entries.append(entry)
        if entry.sentence == CANCELLED:
            self.progress.cancelled()
        else:
            self.progress.answered(entry.outcome, entry.latency)

    async def ledger(self, coupon: str) -> Ledger:
        """Read the final state of a coupon on a fresh connection. Raises CouponNotFound."""
        async with self.observer() as database:
            return await ledger_of(database, coupon)

    @asynccontextmanager
    async def watching_rows(self, coupon: str) -> AsyncIterator[RowWatch]:
        """Read the coupon and its claims in one snapshot, repeatedly, while the body runs."""
        watch = RowWatch()
        async with task_group() as group:
            group.create_task(self._watch_rows(coupon, watch), name=f"watching {coupon}")
            await watch.first_look.wait()
            try:
                yield watch
            finally:
                watch.over = True

    async def _watch_rows(self, coupon: str, watch: RowWatch) -> None:
        per_user = (
            select(func.count().label("rows"), func.min(in_calendar(claims.c.created_at)).label("earliest"))
            .where(claims.c.coupon_name == coupon)
            .group_by(claims.c.user_id)
            .subquery()
        )
        rows = select(func.coalesce(func.sum(per_user.c.rows), 0)).scalar_subquery()
        busiest = select(func.coalesce(func.max(per_user.c.rows), 0)).scalar_subquery()
        snapshot = select(
            coupons.c.amount,
            coupons.c.remaining_amount,
            rows.label("claims"),
            busiest.label("most"),
            select(func.min(per_user.c.earliest)).scalar_subquery().label("earliest"),
        ).where(coupons.c.name == coupon)
        try:
            async with self.observer() as database, database.session("AUTOCOMMIT") as session:
                while not watch.over:
                    watch.saw((await session.execute(snapshot)).one_or_none())
        finally:
            watch.first_look.set()


async def ledger_of(observer: Database, coupon: str) -> Ledger:
    """Read the coupon, its claims and the server's time in one snapshot. Raises CouponNotFound."""
    async with observer.session("REPEATABLE READ") as session:
        found = await find_coupon(session, coupon)
        if found is None:
            raise CouponNotFound(coupon)
        claimed = await all_claims(session, coupon)
        read_at = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return Ledger(found, claimed, read_at)


class RowWatch:
    """What was seen of a coupon and its claims, one snapshot at a time, in the middle of a storm."""

    def __init__(self) -> None:
        self.first_look = asyncio.Event()
        self.over = False
        self.looks = 0
        self.most = 0
        """The maximum number of claims of one user."""
        self.unbalanced: set[str] = set()
        self.postponed: set[str] = set()
        self._earliest: datetime | None = None

    def saw(self, row: Row[tuple[int, int, int, int, datetime | None]] | None) -> None:
        """Record a snapshot; `row` is None while the coupon does not exist."""
        self.first_look.set()
        if row is None:
            return
        self.looks += 1
        self.most = max(self.most, row.most)
        if row.claims > row.amount or row.remaining_amount != row.amount - row.claims:
            self.unbalanced.add(f"{row.remaining_amount} of {row.amount} left with {row.claims} claims")
        # A later commit may have an earlier time, but no claim is deleted: the minimum never rises.
        if self._earliest and row.earliest and row.earliest > self._earliest:
            self.postponed.add(f"{self._earliest:%H:%M:%S.%f} became {row.earliest:%H:%M:%S.%f}")
        self._earliest = row.earliest

    def checks(self) -> list[Check]:
        """Return the checks of what must hold in every snapshot, also in the middle of a storm."""
        return [
            Check(
                "claims-of-a-user-at-any-time",
                "most claims of one user at any time",
                "at most 1",
                self.most if self.looks else "never looked",
                held=self.looks > 0 and self.most <= 1,
            ),
            none_of(
                "unbalanced-at-any-time", "snapshots in which claims and counter disagree", self.unbalanced
            ),
            none_of("first-claim-postponed", "changes of the time of the first claim", self.postponed),
        ]
