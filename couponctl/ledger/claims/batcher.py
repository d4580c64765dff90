"""Claims that wait for one coupon anyway are made together: group commit, on the client's side."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from couponctl.aio.cancellation import shielded
from couponctl.ledger.claims.batch import Batches
from couponctl.ledger.claims.shape import Shape
from couponctl.ledger.claims.strategy import Strategy
from couponctl.models import Outcome, Phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.ledger.claims.by_trial import Answer as TrialAnswer
    from couponctl.postgres.database import Database

MOST = 250
"""Claims of one batch, so that of many the server works at some while the client answers others."""

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

    def tell(self, answer: Answer | Exception) -> None:
        """What became of it, unless it was cancelled."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class _Line:
    """The claims on one coupon."""

    def __init__(self, database: Database, name: str, shape: Shape) -> None:
        self.name = name
        self.batches = Batches(database, name, shape)
        self.waiting: deque[_Claim] = deque()
        self.busy = False
        """A batch is under way, or will be in this turn of the loop."""

    def first(self) -> list[_Claim]:
        """The first of those who still wait, as many as go into a batch."""
        claims: list[_Claim] = []
        while self.waiting and len(claims) < MOST:
            claim = self.waiting.popleft()
            if not claim.answer.done():
                claims.append(claim)
        return claims


class _Batch:
    """Claims that share a lock and a commit, and so their fate."""

    def __init__(self, line: _Line, claims: Sequence[_Claim]) -> None:
        self._line = line
        self._claims = claims
        self._connected_at = 0.0
        self._execute = 0.0
        self.task = asyncio.create_task(self._make(), name=f"batch of {len(claims)}")
        for claim in claims:
            claim.batch = self

    async def abandoned(self) -> None:
        """One of its claims was cancelled: once all are, it is broken off, and the last waits for its end."""
        if all(claim.answer.done() for claim in self._claims):
            if not self.task.cancelling():  # hearing of it twice, it would abandon its backend
                self.task.cancel()
            await asyncio.wait({self.task})

    async def _make(self) -> Sequence[TrialAnswer] | Exception:
        """How they ended, or why they all failed."""
        try:
            users = [claim.user_id for claim in self._claims]
            answers = await self._line.batches.claim(users, self._connected)
        except Exception as error:  # noqa: BLE001 - every member gets it, and tells of it
            return error
        self._execute = perf_counter() - self._connected_at
        return answers

    def _connected(self) -> None:
        self._connected_at = self._connected_at or perf_counter()

    def answer(self) -> None:
        """Tell everybody, once it is over."""
        if self.task.cancelled():  # as it is when nobody is left, or the loop is ending
            for claim in self._claims:
                claim.answer.cancel()
            return
        result = self.task.result()
        answers = [result] * len(self._claims) if isinstance(result, Exception) else result
        for claim, answer in zip(self._claims, answers, strict=True):
            if isinstance(answer, Exception):
                claim.tell(answer)
            else:
                waited = self._connected_at - claim.asked_at
                claim.tell((answer, Phases(pool_wait=waited, execute=self._execute)))


class Batcher:
    """Gathers claims on a coupon while a batch is under way; each is answered after the commit of its own.

    The first to come is the first to be served, and coupons do not wait for each other. A cancelled claim
    is not sent; one that was sent goes on with its batch, until all of that are cancelled.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._shape = Shape(database)
        self._lines: dict[str, _Line] = {}

    async def __call__(self, name: str, user_id: str) -> Answer:
        claim = _Claim(user_id, asyncio.get_running_loop().create_future())
        line = self._lines.get(name) or self._lines.setdefault(name, _Line(self._database, name, self._shape))
        line.waiting.append(claim)
        self._call(line)
        try:
            return await claim.answer
        except asyncio.CancelledError:
            claim.answer.cancel()
            if claim.batch is not None:
                await shielded(claim.batch.abandoned())
            raise

    def _call(self, line: _Line) -> None:
        if not line.busy:
            # Not at once: whoever else comes in this turn of the loop goes with it.
            line.busy = True
            asyncio.get_running_loop().call_soon(self._send, line)

    def _send(self, line: _Line) -> None:
        claims = line.first()
        if claims:
            batch = _Batch(line, claims)
            batch.task.add_done_callback(partial(self._over, line, batch))
        else:
            del self._lines[line.name]  # and it stays busy, so that nobody sends for it again

    def _over(self, line: _Line, batch: _Batch, _task: object) -> None:
        if line.waiting:
            self._send(line)  # the server works at these while those are answered
        else:
            line.busy = False
        asyncio.get_running_loop().call_soon(self._answer, line, batch)

    def _answer(self, line: _Line, batch: _Batch) -> None:
        batch.answer()
        self._call(line)  # after those who were answered, and may claim again at once


BATCHED = Strategy("batched", Batcher, max_per_coupon=1)
"""Claims on one coupon that come together share one lock and one commit: for bulk and very hot coupons."""
