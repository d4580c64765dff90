"""The latest events, with the command line of each."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from couponctl.present import safe
from couponctl.tui.text import Tone, lines, literal
from couponctl.tui.widgets.pane import LiveText, Pane

if TYPE_CHECKING:
    from textual.content import Content

    from couponctl.tui.events import Event, EventLog


_MOST_LINES = 3
"""Maximum number of lines per event; ctrl+e shows the rest."""


class EventPane(Pane):
    """As many of the latest events as fit, the newest at the bottom."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._figures = LiveText(classes="fill")
        super().__init__("Events", self._figures, id="events")

    def apply(self) -> None:
        width, height = self._figures.size
        shown: list[Content] = []
        for event in reversed(self._log.events):
            if len(shown) >= height:
                break
            shown[:0] = _event(event, width)
        self._figures.show(
            lines(*shown[-height:]) if shown else literal("nothing has happened yet", Tone.DIM)
        )


def _event(event: Event, width: int) -> list[Content]:
    told = wrap(safe(f"{event.time} {event.words}"), max(20, width), subsequent_indent="  ")
    words = [literal(line, event.tone) for line in told[:_MOST_LINES]]
    if event.command:
        words.append(literal(f"  $ {event.command}", Tone.DIM))
    return words
