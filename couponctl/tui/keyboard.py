"""Keys one at a time: each is fully handled before the next, and goes where the operator aimed it.

A terminal may deliver many keys in one read. Textual gives them all to the widget that has focus at that
moment, while the effect of the first (Enter, Tab, a letter that opens a form) is still pending.
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
"""Maximum seconds that a key delays the next one, if the widget it was meant for is gone by then."""

_MOMENT = 0.005
"""Seconds between two looks at a screen that is being mounted."""


class KeyByKey(App[int]):
    """An app that handles keys and pastes one at a time."""

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
        """Discard all keys pressed until now: they were meant for what was shown before."""
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
        """Wait for the effects of the event, and for the screen that it may have opened."""
        await _passed(self)
        if self._aimed_at is not None:
            for _ in range(2):
                for place in self._aimed_at.ancestors_with_self:
                    await _passed(place)
        while not self.screen.is_mounted:
            await asyncio.sleep(_MOMENT)
        await _passed(self.screen)


async def _passed(place: MessagePump) -> None:
    """Wait until everything sent to it before now is handled."""
    passed = asyncio.Event()
    if place.call_later(passed.set):
        await passed.wait()


def forget_what_was_typed(screen: Screen[Any]) -> None:
    """Discard all keys pressed until now: they are neither for this screen nor for the one below it."""
    if isinstance(screen.app, KeyByKey):
        screen.app.forget_what_was_typed()
