"""The top line of all modes: modes, the database, the pool, the running drill, the event loop's lag."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content

from couponctl.guards import PRODUCTION
from couponctl.present.glyph import Glyph
from couponctl.tui.modes import MODES
from couponctl.tui.text import Tone, joined, literal
from couponctl.tui.widgets.pane import LiveText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from couponctl.settings import Settings
    from couponctl.tui.snapshot import Snapshot

_GAP = "  "


class TopBar(Horizontal):
    """One line, always there."""

    def __init__(self, mode: str, settings: Settings) -> None:
        super().__init__(id="topbar")
        self._mode = mode
        self._settings = settings

    def compose(self) -> ComposeResult:
        yield LiveText(id="brand")
        yield LiveText(id="modes")
        yield LiveText(id="badge")
        yield LiveText(id="health")

    def on_mount(self) -> None:
        self.query_one("#brand", LiveText).show(literal(" couponctl ", Tone.STRONG))
        self.query_one("#modes", LiveText).show(joined(*(self._tab(i + 1, m) for i, m in enumerate(MODES))))
        self.query_one("#badge", LiveText).show(self._badge(stale=False))

    def apply(self, snapshot: Snapshot, *, stale: bool) -> None:
        """`stale` is whether the database does not answer."""
        narrow = self.screen.has_class("-narrow")
        badge = self._badge(stale=stale, brief=narrow)
        self.query_one("#badge", LiveText).show(badge)
        parts = _health(snapshot, brief=narrow)
        if narrow:
            modes = sum(self._tab(i, mode).cell_length for i, mode in enumerate(MODES))
            parts = _fitting(parts, self.size.width - modes - badge.cell_length - 4)
        self.query_one("#health", LiveText).show(Content(_GAP).join(parts))

    def _tab(self, number: int, mode: str) -> Content:
        words = f" {number} {mode.capitalize()} "
        if mode == self._mode:
            return literal(words, Tone.CURRENT)
        # The words are the program's own: only here may markup make a click mean something.
        return Content.from_markup(f"[@click=app.mode('{mode}')]{words}[/]")

    def _badge(self, *, stale: bool, brief: bool = False) -> Content:
        """Return the database's badge; without room for the address, at least whether it is production."""
        word = self._settings.environment
        light = literal(f"{Glyph.OFF} stale ", Tone.WARN) if stale else literal(f"{Glyph.ON} ", Tone.GOOD)
        named = (
            literal("PRODUCTION ", Tone.BAD) if word == PRODUCTION else literal(f"{word} " if word else "")
        )
        read_only = literal("read-only", Tone.WARN) if self._settings.read_only else ""
        where = "" if brief else f"{self._settings.target.where} "
        return joined(light, named, literal(where), read_only).rstrip()


def _health(snapshot: Snapshot, *, brief: bool) -> list[Content]:
    """What matters most comes first."""
    pool, drill, lag = snapshot.pool, snapshot.drill, "lag" if brief else "UI lag"
    parts = [
        literal(f"pool {pool.in_use}/{pool.size}"),
        literal(f"wait {pool.waiting}", Tone.WARN if pool.waiting else Tone.PLAIN),
        literal(f"{lag} {snapshot.lag_ms} ms", Tone.WARN if snapshot.lag_ms >= 50 else Tone.PLAIN),
    ]
    if drill is not None and drill.running:
        done = f"{drill.done:,}/{drill.view.total:,}" if drill.view.total else ""
        words = (Glyph.RUNNING, "" if brief and done else drill.name, done)
        parts.insert(0, literal(" ".join(filter(None, words)), Tone.ACCENT))
    return parts


def _fitting(parts: Sequence[Content], width: int) -> list[Content]:
    """Return as many of the first parts as fit."""
    ends = accumulate(part.cell_length + len(_GAP) for part in parts)
    return [part for part, end in zip(parts, ends, strict=True) if end - len(_GAP) <= width]
