"""Keys one at a time: each is done with before the next is begun, and goes where the operator aimed it.

A terminal may deliver many keys in one read. Textual hands them all to the widget that has focus at that
moment, while what the first of them does (Enter, Tab, a letter that opens a form) is still on its way.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.events import Event, Key, Paste

if TYPE_CHECKING:
    from textual.message_pump import MessagePump
    from textual.screen import Screen
    from textual.widget import Widget

_PATIENCE = 1.0
"""Seconds that one key may hold up the next, should what it was meant for have gone meanwhile."""

_MOMENT = 0.005
"""Seconds between two looks at a screen that is being made."""


class KeyByKey(App[int]):
    """An app whose keys and pastes wait for their turn."""

    def __init__(self) -> None:
        super().__init__()
        self._typed: asyncio.Queue[Key | Paste] = asyncio.Queue()
        self._its_turn: Key | Paste | None = None
        self._aimed_at: Widget | None = None
        self._heard_from = 0.0

    async def on_mount(self) -> None:
        self.run_worker(self._take_turns(), group="keys")

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            if event is not self._its_turn:
                self._typed.put_nowait(event)
                return
            self._aimed_at = self.focused or self.screen
        await super().on_event(event)

    def forget_what_was_typed(self) -> None:
        """Nothing that was pressed until now counts any more: it was meant for what stood there before."""
        self._heard_from = Event().time

    async def _take_turns(self) -> None:
        while True:
            event = await self._typed.get()
            if event.time < self._heard_from:
                continue
            self._its_turn = event
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    self.post_message(event)
                    await self._all_done()

    async def _all_done(self) -> None:
        """What the event has done, what that has set off, and the screen that may have come of it."""
        await _passed(self)
        if self._aimed_at is not None:
            for _ in range(2):
                for place in self._aimed_at.ancestors_with_self:
                    await _passed(place)
        while not self.screen.is_mounted:
            await asyncio.sleep(_MOMENT)
        await _passed(self.screen)


async def _passed(place: MessagePump) -> None:
    """Whatever it was sent before now is done with."""
    passed = asyncio.Event()
    if place.call_later(passed.set):
        await passed.wait()


def forget_what_was_typed(screen: Screen[Any]) -> None:
    """Keys pressed until now are neither for the screen nor for the one below it."""
    if isinstance(screen.app, KeyByKey):
        screen.app.forget_what_was_typed()
