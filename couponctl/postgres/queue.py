"""Who comes next to a place: first come, first served, and what lies in it may pass from hand to hand."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A number of places, and the queues before them.

    Of those who come about one subject only a few are let in at once: they would but wait for each other
    inside. Subjects take turns.
    """

    def __init__(self, places: int, *, max_per_key: int, discard: Callable[[T], None]) -> None:
        """`max_per_key` is how many are let in about one subject; `discard` takes what nobody came for."""
        self.waiting = 0
        self._free = places
        self._max_per_key = max_per_key
        self._discard = discard
        self._inside: Counter[str] = Counter()
        self._queues: dict[str | None, deque[asyncio.Future[T | None]]] = {}

    def open_to(self, subject: str | None) -> bool:
        """Whether somebody would be let in at once."""
        return self._free > 0 and self._may_enter(subject)

    async def enter(self, patience: float, subject: str | None = None) -> T | None:
        """Take a place; what was left in it, or None. Without a subject there is no limit but the places.

        Raises TimeoutError after `patience` seconds in the queue.
        """
        if self.open_to(subject):
            self._free -= 1
            self._count(subject, 1)
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[T | None] = loop.create_future()
        self._queues.setdefault(subject, deque()).append(turn)
        timer = loop.call_later(patience, _give_up, turn)
        self.waiting += 1
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave(subject, turn.result())  # its turn came, and it was cancelled at once
            turn.cancel()
            raise
        finally:
            self.waiting -= 1
            timer.cancel()

    def leave(self, subject: str | None = None, thing: T | None = None) -> None:
        """Give the place up, to the next in turn, and the thing with it."""
        self._count(subject, -1)
        for following in tuple(self._queues):
            if self._may_enter(following) and (turn := self._next(following)) is not None:
                self._count(following, 1)
                turn.set_result(thing)
                return
        self._free += 1
        if thing is not None:
            self._discard(thing)

    def _may_enter(self, subject: str | None) -> bool:
        return subject is None or self._inside[subject] < self._max_per_key

    def _count(self, subject: str | None, more: int) -> None:
        if subject is not None:
            self._inside[subject] += more
            if not self._inside[subject]:
                del self._inside[subject]

    def _next(self, subject: str | None) -> asyncio.Future[T | None] | None:
        """The first who still waits about the subject; the others about it come after all other subjects."""
        queue = self._queues.pop(subject)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                if queue:
                    self._queues[subject] = queue
                return turn
        return None


def _give_up(turn: asyncio.Future[T | None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())
