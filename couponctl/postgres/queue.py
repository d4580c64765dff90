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

    Of those who come about one key only a few are let in at once: they would but wait for each other
    inside. Keys take turns.
    """

    def __init__(self, places: int, *, max_per_key: int, discard: Callable[[T], None]) -> None:
        """`max_per_key` is how many are let in about one key; `discard` takes what nobody came for."""
        self.waiting = 0
        self._free = places
        self._max_per_key = max_per_key
        self._discard = discard
        self._inside: Counter[str] = Counter()
        self._queues: dict[str | None, deque[asyncio.Future[T | None]]] = {}

    def open_to(self, key: str | None) -> bool:
        """Whether somebody would be let in at once."""
        return self._free > 0 and self._may_acquire(key)

    async def acquire(self, timeout: float, key: str | None = None) -> T | None:
        """Take a place; what was left in it, or None. Without a key there is no limit but the places.

        Raises TimeoutError after `timeout` seconds in the queue.
        """
        if self.open_to(key):
            self._free -= 1
            self._count(key, 1)
            return None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[T | None] = loop.create_future()
        self._queues.setdefault(key, deque()).append(turn)
        timer = loop.call_later(timeout, _give_up, turn)
        self.waiting += 1
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(key, turn.result())  # its turn came, and it was cancelled at once
            turn.cancel()
            raise
        finally:
            self.waiting -= 1
            timer.cancel()

    def release(self, key: str | None = None, thing: T | None = None) -> None:
        """Give the place up, to the next in turn, and the thing with it."""
        self._count(key, -1)
        for following in tuple(self._queues):
            if self._may_acquire(following) and (turn := self._next(following)) is not None:
                self._count(following, 1)
                turn.set_result(thing)
                return
        self._free += 1
        if thing is not None:
            self._discard(thing)

    def _may_acquire(self, key: str | None) -> bool:
        return key is None or self._inside[key] < self._max_per_key

    def _count(self, key: str | None, more: int) -> None:
        if key is not None:
            self._inside[key] += more
            if not self._inside[key]:
                del self._inside[key]

    def _next(self, key: str | None) -> asyncio.Future[T | None] | None:
        """The first who still waits about the key; the others about it come after all other keys."""
        queue = self._queues.pop(key)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                if queue:
                    self._queues[key] = queue
                return turn
        return None


def _give_up(turn: asyncio.Future[T | None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())
