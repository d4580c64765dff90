"""A value that is read repeatedly, and whether reading it works."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar

from couponctl.aio.cancellation import cancel_once
from couponctl.logs import logger
from couponctl.tui.text import sentence_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")

_log = logger(__name__)

_SLOW = 2.0
"""Seconds without an answer after which the value counts as stale."""


class Poller(Generic[T]):
    """The latest value, and why there is no newer one. A failure keeps the value read before."""

    def __init__(
        self,
        read: Callable[[], Coroutine[Any, Any, T]],
        *,
        every: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`read` is called every `every` seconds until paused."""
        self.value: T | None = None
        self.failure = ""
        self.version = 0
        """Counts the readings."""
        self._read = read
        self._name = getattr(read, "__qualname__", type(read).__qualname__)
        self._fails_since: float | None = None
        self._every = every
        self._clock = clock
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._wanted = asyncio.Event()
        self._poll_asked = asyncio.Event()

    @property
    def stale(self) -> str:
        """Why the value is stale, in words; empty while it is fresh or its answer is not overdue yet."""
        now = self._clock()
        if self.failure:
            age = "" if self._read_at is None else f"stale {now - self._read_at:.0f} s: "
            return age + self.failure
        if self._asked_at is not None and now - self._asked_at > _SLOW:
            since = self._asked_at if self._read_at is None else self._read_at
            return f"stale {now - since:.0f} s: no answer yet"
        return ""

    def resume(self) -> None:
        """Read from now on: the value is on screen."""
        self._wanted.set()

    def pause(self) -> None:
        """Stop reading: the value is not on screen."""
        self._wanted.clear()

    def poll_now(self) -> int:
        """Read at once, because something has changed; return the first version that includes the change."""
        self._poll_asked.set()
        return self.version + (1 if self._asked_at is None else 2)

    async def follow(self) -> None:
        """Read until the task is cancelled."""
        while True:
            await self._wanted.wait()
            self._poll_asked.clear()
            await self.refresh()
            try:
                async with asyncio.timeout(self._every):
                    await self._poll_asked.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Read once."""
        self._asked_at = self._clock()
        try:
            value = await cancel_once(self._read())
        except Exception as error:  # noqa: BLE001 - see sentence_of
            self.failure = sentence_of(error)
            self._note_failing(error)
        else:
            self.value, self.failure = value, ""
            self._read_at = self._clock()
            self._note_working()
        finally:
            self._asked_at = None
            self.version += 1

    def _note_failing(self, error: Exception) -> None:
        if self._fails_since is None:
            self._fails_since = self._clock()
            _log.warning("%s fails, and is repeated: %s.", self._name, type(error).__name__)

    def _note_working(self) -> None:
        if self._fails_since is not None:
            _log.info("%s works again, after %.1f s.", self._name, self._clock() - self._fails_since)
            self._fails_since = None
