"""A fair queue for a limited number of places, which can hand a connection from one holder to the next."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A limited number of places, with a first-come, first-served queue per key.

    Each key may hold only a few places: more tasks would only wait for each other. Keys take turns.
    """

    def __init__(self, places: int, *, max_per_key: int, discard: Callable[[T], None]) -> None:
        """`max_per_key` is the maximum number of places per key; `discard` gets what nobody waits for."""
        self.waiting = 0
        self._free = places
        self._max_per_key = max_per_key
        self._discard = discard
        self._inside: Counter[str] = Counter()
        self._queues: dict[str | None, deque[asyncio.Future[T | None]]] = {}

    def open_to(self, key: str | None) -> bool:
        """Whether a place would be granted at once."""
        return self._free > 0 and self._may_acquire(key)

    async def acquire(self, timeout: float, key: str | None = None) -> T | None:
        """Take a place and return what its last holder left in it, or None. Key None has no maximum.

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
                self.release(key, turn.result())  # cancelled just after its turn came
            turn.cancel()
            raise
        finally:
            self.waiting -= 1
            timer.cancel()

    def release(self, key: str | None = None, thing: T | None = None) -> None:
        """Pass the place and `thing` to the next in turn, or free it and discard `thing`."""
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
        """Take the first task that still waits for the key; the key then goes behind all others."""
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
