"""Group commit on the client: claims that wait for one coupon anyway are made together."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from couponctl.aio.cancellation import shielded
from couponctl.ledger.claims.batch import Batches
from couponctl.ledger.claims.plain_tables import PlainTables
from couponctl.ledger.claims.strategy import Strategy
from couponctl.logs import logger
from couponctl.models import Outcome, Phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.ledger.claims.savepoint import Answer as TrialAnswer
    from couponctl.postgres.database import Database

MOST = 250
"""Maximum claims per batch, so that the server works on one while the client answers another."""

Answer = tuple[Outcome, Phases]

_log = logger(__name__)


class _Claim:
    """A claim waiting to be sent, or for its answer."""

    __slots__ = ("answer", "asked_at", "batch", "user_id")

    def __init__(self, user_id: str, answer: asyncio.Future[Answer]) -> None:
        self.user_id = user_id
        self.answer = answer
        self.asked_at = perf_counter()
        self.batch: _Batch | None = None
        """The batch it was sent with."""

    def tell(self, answer: Answer | Exception) -> None:
        """Answer it, unless it was cancelled."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class _Line:
    """The claims on one coupon."""

    def __init__(self, database: Database, name: str, tables: PlainTables) -> None:
        self.name = name
        self.batches = Batches(database, name, tables)
        self.waiting: deque[_Claim] = deque()
        self.busy = False
        """A batch is under way, or will be in this turn of the event loop."""

    def first(self) -> list[_Claim]:
        """Take the first claims that still wait, up to a full batch."""
        claims: list[_Claim] = []
        while self.waiting and len(claims) < MOST:
            claim = self.waiting.popleft()
            if not claim.answer.done():
                claims.append(claim)
        return claims


class _Batch:
    """Claims that share a lock and a commit, and so fail together."""

    def __init__(self, line: _Line, claims: Sequence[_Claim]) -> None:
        self._line = line
        self._claims = claims
        self._connected_at = 0.0
        self._execute = 0.0
        self.task = asyncio.create_task(self._make(), name=f"batch of {len(claims)}")
        for claim in claims:
            claim.batch = self

    async def abandoned(self) -> None:
        """Handle a claim's cancellation: once all claims are done, cancel the batch and wait for its end."""
        if all(claim.answer.done() for claim in self._claims):
            if not self.task.cancelling():  # cancelled twice, it would abandon its backend
                _log.info("A batch of %s claims is cancelled: nobody waits for it.", len(self._claims))
                self.task.cancel()
            await asyncio.wait({self.task})

    async def _make(self) -> Sequence[TrialAnswer] | Exception:
        """Return the answers, or the error that all claims get."""
        try:
            users = [claim.user_id for claim in self._claims]
            answers = await self._line.batches.claim(users, self._connected)
        except Exception as error:  # noqa: BLE001 - every claim raises it
            _log.info("A batch of %s claims failed: %s.", len(self._claims), type(error).__name__)
            return error
        self._execute = perf_counter() - self._connected_at
        return answers

    def _connected(self) -> None:
        self._connected_at = self._connected_at or perf_counter()

    def answer(self) -> None:
        """Answer all claims of the ended batch."""
        if self.task.cancelled():  # because all claims were cancelled, or the event loop is closing
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
    """Gathers claims on a coupon while a batch is under way; each is answered after its own batch's commit.

    Claims are served in order, and coupons do not wait for each other. A claim cancelled before it is sent is
    dropped; later, it continues with its batch, unless all claims of that are cancelled.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = PlainTables(database)
        self._lines: dict[str, _Line] = {}

    async def __call__(self, name: str, user_id: str) -> Answer:
        claim = _Claim(user_id, asyncio.get_running_loop().create_future())
        line = self._lines.get(name) or self._lines.setdefault(
            name, _Line(self._database, name, self._tables)
        )
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
            # Deferred, so that claims made in the same turn of the event loop join the batch.
            line.busy = True
            asyncio.get_running_loop().call_soon(self._send, line)

    def _send(self, line: _Line) -> None:
        claims = line.first()
        if claims:
            batch = _Batch(line, claims)
            batch.task.add_done_callback(partial(self._over, line, batch))
        else:
            del self._lines[line.name]  # stays busy, so that it is never sent again

    def _over(self, line: _Line, batch: _Batch, _task: object) -> None:
        if line.waiting:
            self._send(line)  # the server works on these while the last ones are answered
        else:
            line.busy = False
        asyncio.get_running_loop().call_soon(self._answer, line, batch)

    def _answer(self, line: _Line, batch: _Batch) -> None:
        batch.answer()
        self._call(line)  # scheduled after the answered tasks, which may claim again at once


BATCHED = Strategy("batched", Batcher, max_per_coupon=1)
"""Concurrent claims on one coupon share a lock and a commit: for bulk grants and very hot coupons."""
