"""A pool of connections in six lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.present import milliseconds
from couponctl.tui.text import Tone, joined, lines, literal
from couponctl.tui.widgets.gauges import gauge_content
from couponctl.tui.widgets.pane import LiveText, Pane

if TYPE_CHECKING:
    from textual.content import Content

    from couponctl.models import PoolStats


class PoolPane(Pane):
    """The gauges of one pool, or a text while there is no pool."""

    def __init__(self, title: str, *, id: str, absent: str = "") -> None:  # noqa: A002 - Textual's word
        self._figures = LiveText(classes="fill")
        self._absent = absent
        super().__init__(title, self._figures, id=id)

    def apply(self, pool: PoolStats | None) -> None:
        width = self._figures.size.width
        self._figures.show(literal(self._absent, Tone.DIM) if pool is None else pool_content(pool, width))


def pool_content(pool: PoolStats, width: int) -> Content:
    room = max(4, width - 22)
    waiting = gauge_content(
        pool.waiting, pool.peak_waiting or 1, room, Tone.WARN if pool.waiting else Tone.ACCENT
    )
    return lines(
        _row("in use", gauge_content(pool.in_use, pool.size, room), f"{pool.in_use:,}/{pool.size:,}"),
        _row("idle", gauge_content(pool.idle, pool.size, room), f"{pool.idle:,}"),
        _row("waiting", waiting, f"{pool.waiting:,}"),
        literal(f"acquire  p50 {_time(pool.acquire_p50_ms)}  p99 {_time(pool.acquire_p99_ms)}"),
        literal(f"peak     {pool.peak_in_use:,} in use, {pool.peak_waiting:,} waiting"),
        literal(f"refused  {pool.acquire_failures:,}", Tone.BAD if pool.acquire_failures else Tone.DIM),
    )


def _row(name: str, drawing: Content, words: str) -> Content:
    return joined(literal(f"{name:<9}"), drawing, literal(f" {words:>11}"))


def _time(value: float | None) -> str:
    return "–" if value is None else milliseconds(value)
