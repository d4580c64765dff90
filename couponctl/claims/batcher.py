"""Claims that wait for one coupon anyway are made together: group commit, on the client's side."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from couponctl.cancellation import to_its_end
from couponctl.claims.batch import Earlier, claim_batch
from couponctl.claims.one import STATEMENT
from couponctl.claims.strategy import Strategy
from couponctl.errors import Invalid, RuleViolated
from couponctl.models import Outcome, Phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.database import Database

MOST = 250
"""Claims of one batch. Two overlap: the server works at one while the client answers the other."""

_AT_ONCE = 2
"""Batches on one coupon at a time: one is under way, and one that is full waits behind it."""

Answer = tuple[Outcome, Phases]


class _Claim:
    """A claim that waits to be sent, or for its answer."""

    __slots__ = ("answer", "asked_at", "batch", "user_id")

    def __init__(self, user_id: str, answer: asyncio.Future[Answer]) -> None:
        self.user_id = user_id
        self.answer = answer
        self.asked_at = perf_counter()
        self.batch: _Batch | None = None
        """What it was sent with."""


class _Line:
    """The claims on one coupon."""

    def __init__(self) -> None:
        self.waiting: deque[_Claim] = deque()
        self.under_way: list[_Batch] = []
        self.called = False
        """It is about to be looked at."""


class _Batch:
    """Claims that share a lock and a commit, and so their fate."""

    def __init__(
        self, database: Database, name: str, claims: Sequence[_Claim], ahead: Sequence[_Batch]
    ) -> None:
        self._database = database
        self._name = name
        self._claims = claims
        self.size = len(claims)
        self._ahead = [batch.task for batch in ahead]
        self._earlier = Earlier(sum(batch.size for batch in ahead), self._those_ahead)
        self._connected_at = 0.0
        self._broken_off = False
        self.task: asyncio.Task[None] = asyncio.create_task(self._make(), name=f"batch of {self.size}")

    async def abandoned(self) -> None:
        """One of its claims was cancelled: once all are, it is broken off, and the last waits for its end."""
        if all(claim.answer.cancelled() for claim in self._claims):
            if not self._broken_off:  # hearing of it twice, it would abandon its backend
                self._broken_off = True
                self.task.cancel()
            await asyncio.wait({self.task})

    async def _make(self) -> None:
        try:
            users = [claim.user_id for claim in self._claims]
            outcomes = await claim_batch(self._database, self._name, users, self._connected, self._earlier)
        except (Invalid, RuleViolated):
            # One of them may have spoilt it for all: this database wants something else of a user id.
            await self._make_singly()
        except Exception as error:  # noqa: BLE001 - every member gets it, and tells of it
            for claim in self._claims:
                _fail(claim, error)
        else:
            ended_at = perf_counter()
            execute = ended_at - self._connected_at
            for claim, outcome in zip(self._claims, outcomes, strict=True):
                if not claim.answer.done():
                    waited = self._connected_at - claim.asked_at
                    claim.answer.set_result((outcome, Phases(pool_wait=waited, execute=execute)))

    async def _those_ahead(self) -> None:
        if self._ahead:
            await asyncio.wait(self._ahead)

    def _connected(self) -> None:
        self._connected_at = perf_counter()

    async def _make_singly(self) -> None:
        claim_one = STATEMENT.on(self._database)
        for claim in self._claims:
            if claim.answer.done():
                continue  # cancelled, and not sent again
            try:
                answer = await claim_one(self._name, claim.user_id)
            except Exception as error:  # noqa: BLE001 - its member gets it
                _fail(claim, error)
            else:
                if not claim.answer.done():
                    claim.answer.set_result(answer)


def _fail(claim: _Claim, error: Exception) -> None:
    if not claim.answer.done():
        claim.answer.set_exception(error)


class Batcher:
    """Gathers claims on a coupon while a batch is under way; each is answered after the commit of its own.

    The first to come is the first to be served, and coupons do not wait for each other. A cancelled claim
    is not sent; one that was sent goes on with its batch, until all of that are cancelled.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, _Line] = {}

    async def __call__(self, name: str, user_id: str) -> Answer:
        loop = asyncio.get_running_loop()
        claim = _Claim(user_id, loop.create_future())
        line = self._lines.get(name) or self._lines.setdefault(name, _Line())
        line.waiting.append(claim)
        if not line.called:
            # Not at once: whoever else comes in this turn of the loop goes with it.
            line.called = True
            loop.call_soon(self._send, name, line)
        try:
            return await claim.answer
        except asyncio.CancelledError:
            claim.answer.cancel()
            if claim.batch is not None:
                await to_its_end(claim.batch.abandoned())
            raise

    def _send(self, name: str, line: _Line) -> None:
        line.called = False
        while line.waiting and (not line.under_way or self._may_wait_behind(line)):
            claims = _taken(line.waiting)
            if claims:
                batch = _Batch(self._database, name, claims, line.under_way)
                line.under_way.append(batch)
                batch.task.add_done_callback(partial(self._ended, name, line, batch))
                for claim in claims:
                    claim.batch = batch
        if not line.waiting and not line.under_way:
            self._lines.pop(name, None)

    @staticmethod
    def _may_wait_behind(line: _Line) -> bool:
        return len(line.under_way) < _AT_ONCE and len(line.waiting) >= MOST

    def _ended(self, name: str, line: _Line, batch: _Batch, _task: asyncio.Task[None]) -> None:
        line.under_way.remove(batch)
        if not line.called:
            line.called = True
            # After those who have just been answered, and may claim again at once.
            asyncio.get_running_loop().call_soon(self._send, name, line)


def _taken(waiting: deque[_Claim]) -> list[_Claim]:
    """The first of those who still wait, as many as go into a batch."""
    claims: list[_Claim] = []
    while waiting and len(claims) < MOST:
        claim = waiting.popleft()
        if not claim.answer.done():
            claims.append(claim)
    return claims


BATCHED = Strategy("batched", Batcher, abreast=1)
"""Claims on one coupon that come together share one lock and one commit: for bulk and very hot coupons."""
