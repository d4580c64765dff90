"""What is on the screen, as text, and the hands of somebody who uses it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from couponctl.tui.app import CouponApp
    from tests.tui.desks import Scene


@dataclass
class Console:
    """A console that is open."""

    app: CouponApp
    pilot: Pilot[Any]
    scene: Scene

    @property
    def picture(self) -> str:
        """Every line of the screen, without the blanks at its end."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*("space" if character == " " else character for character in text))

    async def settle(self) -> None:
        """Let every reading that was asked for come in, and draw it."""
        for _ in range(3):
            await self.pilot.pause()
            self.app.tick()
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object], *, seconds: float = 10) -> None:
        """Draw until the condition holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.pilot.pause(0.02)
                self.app.tick()
        await self.pilot.pause()
