"""What is on the screen, as text, and the hands of somebody who uses it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from rich.cells import cell_len
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.events import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion
    from textual.pilot import Pilot

    from couponctl.tui.app import CouponApp
    from couponctl.tui.poller import Poller
    from couponctl.tui.screens.mode import ModeScreen
    from tests.support.tui.scenes import Scene


SIZES = ((120, 36), (80, 24))
"""A comfortable terminal, and the smallest that people have."""


_CHARACTERS = {"enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f", "space": " ", "slash": "/"}
"""What a terminal sends for keys that have a name."""


class TextPicture(SingleFileSnapshotExtension):
    """A picture that is kept as a file to look at."""

    file_extension = "txt"
    _write_mode = WriteMode.TEXT


@dataclass
class Console:
    """A console that is open."""

    app: CouponApp
    pilot: Pilot[Any]
    scene: Scene

    @property
    def picture(self) -> str:
        """Every line of the screen, without the blanks at its end."""
        return "\n".join(line.rstrip() for line in self.lines) + "\n"

    @property
    def flowing(self) -> str:
        """The picture as one text, frames and line breaks left out."""
        return " ".join(re.sub(r"[^\w\s!-~·…]", " ", self.picture).split())

    def shows(self, words: str) -> bool:
        return words in self.picture

    @property
    def lines(self) -> list[str]:
        """The same as the terminal gets it, blanks included."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def burst(self, *keys: str) -> None:
        """Keys that a terminal delivers in one read: nobody waits between them."""
        for key in keys:
            self.app.post_message(Key(key, _CHARACTERS.get(key, key if len(key) == 1 else None)))
        await self.settle()

    def place_of(self, text: str) -> tuple[int, int]:
        """Where a text begins on the screen."""
        for y, line in enumerate(self.lines):
            if (at := line.find(text)) >= 0:
                return cell_len(line[:at]), y
        raise AssertionError(f"{text} is not on the screen:\n{self.picture}")

    async def click(self, text: str) -> None:
        await self.pilot.click(offset=self.place_of(text))
        await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*("space" if character == " " else character for character in text))

    async def settle(self) -> None:
        """Let every reading that was asked for come in, and draw it."""
        for _ in range(2):
            await self.pilot.pause(0)
            self.app.tick()
        await self.pilot.pause()
        self.app.tick()
        await self.pilot.pause(0)

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        # The screens hear of it when the app is idle, those in the background after the one on top.
        await self.until(lambda: all(screen.size == (width, height) for screen in self.app.screen_stack))
        await self.settle()
        before = ""
        while before != self.picture:  # a busy machine looks idle to Textual before all is laid out
            before = self.picture
            await self.settle()

    async def assert_looks_as(self, golden: SnapshotAssertion) -> None:
        """Compare the picture with the one that is kept, at each size."""
        taken = {}
        for width, height in SIZES:
            await self.resize(width, height)
            taken[f"{width}x{height}"] = self.picture
        for size, picture in taken.items():
            assert picture == golden(name=size)

    async def read_again(self) -> None:
        """Have the mode ask for everything anew, without waiting for its turn."""
        for poller in cast("ModeScreen", self.app.screen_stack[0]).pollers:
            before = poller.version
            poller.poll_now()
            await self.until(partial(_newer, poller, before))
        await self.settle()

    async def until(self, condition: Callable[[], object], *, seconds: float = 10) -> None:
        """Draw until the condition holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.pilot.pause(0.02)
                self.app.tick()
        await self.pilot.pause()


def _newer(poller: Poller[Any], version: int) -> bool:
    return poller.version > version
