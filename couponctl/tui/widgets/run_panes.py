"""A run of a drill, live or saved: figures, latencies, checks, waits for a connection."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.widgets import Sparkline

from couponctl.drills.reports.conclusion import conclusion
from couponctl.drills.reports.text import check_row
from couponctl.models import Outcome
from couponctl.present import milliseconds
from couponctl.present.glyph import Glyph
from couponctl.tui.text import Tone, glyph_tone, joined, lines, literal
from couponctl.tui.widgets.gauges import figures_content, gauge_content, histogram_content
from couponctl.tui.widgets.pane import LiveText, Pane

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textual.content import Content

    from couponctl.drills.check import Check
    from couponctl.drills.histogram import Histogram
    from couponctl.drills.progress import View
    from couponctl.tui.snapshot import DrillState

_NO_ERRORS = {
    o.value for o in (Outcome.CLAIMED, Outcome.SOLD_OUT, Outcome.ALREADY_CLAIMED, Outcome.NOT_FOUND)
}


class RunPane(Pane):
    """The progress of a drill, in figures."""

    def __init__(self) -> None:
        self._figures = LiveText(classes="fill")
        super().__init__("Drill", self._figures, id="run")

    def describe(self, title: str, facts: Mapping[str, str]) -> None:
        """Show a drill that has not run yet."""
        self._turn("described", title)
        self._figures.show(lines(*_facts(facts, self._figures.size.width)))

    def apply(self, state: DrillState) -> None:
        self._turn(_standing(state), state.name)
        self._figures.show(_progress(state, self._figures.size.width))

    def _turn(self, standing: str, title: str) -> None:
        self.retitle(title)
        for each in ("described", "running", Tone.GOOD, Tone.WARN, Tone.BAD):
            self.set_class(each == standing, f"-{each}")


def _facts(facts: Mapping[str, str], width: int) -> Iterator[Content]:
    for name, words in facts.items():
        heads = (f"{name:<13}", " " * 13)
        for number, line in enumerate(wrap(words, max(20, width - 13))):
            yield joined(literal(heads[min(number, 1)], Tone.DIM), literal(line))


def _standing(state: DrillState) -> str:
    if state.running:
        return "running"
    return glyph_tone(conclusion(state.report).glyph) if state.report else Tone.WARN


def _progress(state: DrillState, width: int) -> Content:
    view = state.view
    share = state.done / view.total if view.total else 0.0
    if state.report is not None:
        ended = conclusion(state.report)
        verdict = literal(str(ended), glyph_tone(ended.glyph))
        why = state.report.unfinished or next((c.promise for c in state.report.broken), "")
        word = joined(verdict, literal(f"  {why}" if why else ""))
    elif not state.running:
        # A refusal may hold a statement to pass on: it takes the place of the bar.
        sentence = wrap(f"{Glyph.UNDECIDED} {state.failure}", max(10, width - 2))
        return lines(
            figures_content(_figures(state), width), *(literal(each, Tone.WARN) for each in sentence)
        )
    else:
        word = literal(f"{'aborting: ' if state.aborting else ''}{view.stage} …", Tone.ACCENT)
    bar = gauge_content(share, 1, max(4, width - 6), Tone.ACCENT if state.running else Tone.DIM)
    return lines(
        figures_content(_figures(state), width), literal(""), joined(bar, literal(f" {share:4.0%}")), word
    )


def _figures(state: DrillState) -> list[tuple[str, str, Tone]]:
    view = state.view
    errors = sum(count for outcome, count in view.outcomes.items() if outcome not in _NO_ERRORS)
    elapsed = state.report.elapsed if state.report else view.elapsed
    return [
        (f"{state.done:,}/{view.total:,}", "done", Tone.PLAIN),
        (f"{view.outcomes.get('claimed', 0):,}", "claimed", Tone.GOOD),
        (f"{view.outcomes.get('sold_out', 0):,}", "sold out", Tone.PLAIN),
        (f"{errors:,}", "errors", Tone.BAD if errors else Tone.PLAIN),
        (_time(view.p50_ms), "p50", Tone.PLAIN),
        (_time(view.p99_ms), "p99", Tone.PLAIN),
        (f"{elapsed:.1f} s", "elapsed", Tone.PLAIN),
    ]


def _time(value: float | None) -> str:
    return "–" if value is None else milliseconds(value)


class HistogramPane(Pane):
    """Latencies by outcome."""

    def __init__(self) -> None:
        self._figures = LiveText(classes="fill")
        super().__init__("Latency", self._figures, id="latency")

    def apply(self, counts: Mapping[str, Histogram]) -> None:
        size = self._figures.size
        self._figures.show(histogram_content(counts, size.width, size.height))


class ChecksPane(Pane):
    """Checks, each with its glyph as soon as it is decided."""

    def __init__(self) -> None:
        self._figures = LiveText()
        super().__init__("Checks", VerticalScroll(self._figures, classes="fill"), id="checks")

    def apply(self, checks: Sequence[Check], *, more: bool) -> None:
        """`more` is whether others are still undecided."""
        shown = [content for check in checks for content in _check(check, self._figures.size.width)]
        if more:
            when = "more to come" if checks else "decided when the claims are in"
            shown.append(literal(f"{Glyph.PENDING} {when}", Tone.DIM))
        self._figures.show(lines(*shown) if shown else literal("none decided", Tone.DIM))
        held = sum(check.held for check in checks)
        self.count(f"{held} of {len(checks)} passed" if checks else "")


def _check(check: Check, width: int) -> Iterator[Content]:
    glyph, promise, observed = check_row(check)
    first, *rest = wrap(promise, max(10, width - 2))
    yield joined(literal(f"{glyph} ", glyph_tone(glyph)), literal(first))
    for line in rest:
        yield literal(f"  {line}")
    if not check.held:
        for line in wrap(observed, max(10, width - 4)):
            yield literal(f"    {line}", Tone.BAD)


class WaitingPane(Pane):
    """How many claims waited for a connection, over the time of the drill."""

    def __init__(self) -> None:
        self._line = Sparkline()
        self._figures = LiveText()
        super().__init__("Waiting for a connection", self._figures, self._line, id="waiting")

    def apply(self, view: View | None) -> None:
        values = view.waiting if view else ()
        if values != self._line.data:
            self._line.data = values
        pool = view.pool if view else None
        words = (
            f"{pool.waiting:,} now, {max(values, default=0):,} at most" if pool else "no drill has run yet"
        )
        self._figures.show(literal(words, Tone.DIM))
