"""Mode 4: the saved runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable

from couponctl.drills.reports.comparison import compare
from couponctl.drills.reports.conclusion import conclusion
from couponctl.drills.reports.store import origin_words
from couponctl.drills.reports.text import parameter_words, report_lines
from couponctl.present import counted, milliseconds
from couponctl.present.glyph import Glyph
from couponctl.tui.poller import Poller
from couponctl.tui.screens.comparison import ComparisonScreen
from couponctl.tui.screens.mode import ModeScreen
from couponctl.tui.screens.text import TextScreen
from couponctl.tui.text import Tone, glyph_tone, lines, literal
from couponctl.tui.widgets.live_table import Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText, Pane
from couponctl.tui.widgets.run_panes import ChecksPane, HistogramPane

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from textual.binding import BindingType
    from textual.widget import Widget

    from couponctl.drills.reports.store import SavedRun
    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.snapshot import Snapshot

_COLUMNS = (
    Column("", 1),
    Column("When", 8),
    Column("Drill", 11, grows=True),
    Column("Verdict", 18),
    Column("Users", 7, right=True),
    Column("p50", 8, right=True, rank=3),
    Column("p99", 8, right=True, rank=1),
    Column("Claims/s", 8, right=True, rank=2),
    Column("Run", 8, rank=4),
)


class Runs(ModeScreen):
    """The history beside the run under the cursor."""

    MODE = "runs"
    AUTO_FOCUS = "#run-table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("m", "mark", "Mark"),
        Binding("d", "compare", "Compare two"),
        Binding("o", "export", "Export"),
    ]

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._history = Poller(self._read_history, clock=dependencies.clock)
        self.pollers = (self._history,)
        self._marked: tuple[str, ...] = ()
        self._ids: tuple[str, ...] | None = None
        self._skipped = 0

    def panes(self) -> Iterable[Widget]:
        yield Pane("Runs", LiveTable(_COLUMNS, id="run-table"), LiveText(classes="empty"), id="history")
        yield Vertical(
            Pane("Run", LiveText(id="run-facts", classes="fill"), id="facts"),
            ChecksPane(),
            HistogramPane(),
            id="kept-run",
        )

    @property
    def database_is_silent(self) -> bool:
        """Always False: runs are files, the database is not queried here."""
        return False

    @property
    def run(self) -> SavedRun | None:
        """The run under the cursor."""
        return self._find(self.query_one(LiveTable).selected)

    def _find(self, run_id: str | None) -> SavedRun | None:
        return next((run for run in self._history.value or () if run.report.run_id == run_id), None)

    async def _read_history(self) -> tuple[SavedRun, ...]:
        ids = await asyncio.to_thread(self.dependencies.runs.run_ids)
        if ids == self._ids and self._history.value is not None:
            return self._history.value
        listing = await asyncio.to_thread(self.dependencies.runs.list)
        self._ids, self._skipped = ids, listing.skipped
        return listing.runs

    def apply(self, snapshot: Snapshot) -> None:
        super().apply(snapshot)
        history = self._history.value
        pane = self.query_one("#history", Pane)
        pane.say_stale(self._history.stale)
        if history is None:
            return
        self.query_one(LiveTable).show([self._row(run) for run in history])
        unreadable = f", {counted(self._skipped, 'file')} unreadable" if self._skipped else ""
        pane.count(counted(len(history), "run") + unreadable)
        nothing = "no runs yet: press 2, then r"
        self.query_one(".empty", LiveText).show(literal("" if history else nothing, Tone.DIM))
        self.set_class(not history, "-empty")
        self._show(self.run)

    def _row(self, run: SavedRun) -> Row:
        report = run.report
        latency = report.latency.get(report.leading) if report.leading else None
        rate, ended = report.claims_per_s, conclusion(report)
        return Row(
            report.run_id,
            (
                cell(Glyph.ON if report.run_id in self._marked else "", Tone.ACCENT),
                cell(self._when(run.at), Tone.DIM),
                cell(report.drill, Tone.STRONG),
                cell(str(ended), glyph_tone(ended.glyph)),
                cell(f"{report.answers:,}"),
                cell(milliseconds(latency.p50) if latency else ""),
                cell(milliseconds(latency.p99) if latency else ""),
                cell("" if rate is None else f"{rate:,.0f}"),
                cell(report.run_id, Tone.DIM),
            ),
        )

    def _when(self, at: datetime) -> str:
        """Return the time for a run of today, the date for an earlier one."""
        local, now = at.astimezone(), self.dependencies.now().astimezone()
        return f"{local:%H:%M:%S}" if local.date() == now.date() else f"{local:%Y-%m-%d}"[2:]

    def _show(self, run: SavedRun | None) -> None:
        facts = self.query_one("#run-facts", LiveText)
        if run is None:
            facts.show(literal("no run is selected", Tone.DIM))
            return
        report = run.report
        self.query_one("#facts", Pane).retitle(f"{report.drill} {report.run_id}")
        facts.show(
            lines(
                literal(parameter_words(report)),
                literal(f"strategy {report.strategy}, seed {report.seed}"),
                literal(f"by the {run.made_by}, on {report.server.place}", Tone.DIM),
            )
        )
        self.query_one(ChecksPane).apply(report.checks, more=False)
        self.query_one(HistogramPane).apply({o.value: counts for o, counts in report.histogram.items()})

    @on(DataTable.RowSelected, "#run-table")
    def action_open(self) -> None:
        run = self.run
        if run is not None:
            text = [origin_words(run), "", *report_lines(run.report)]
            self.dependencies.events.add(
                f"opened run {run.report.run_id}", command=("runs", "show", run.report.run_id)
            )
            self.app.push_screen(TextScreen(f"{run.report.drill} {run.report.run_id}", text))

    def action_mark(self) -> None:
        run = self.run
        if run is None:
            return
        run_id = run.report.run_id
        if run_id in self._marked:
            self._marked = tuple(each for each in self._marked if each != run_id)
        else:
            self._marked = (*self._marked[-1:], run_id)

    def action_compare(self) -> None:
        """Compare both marked runs, or the marked one and that under the cursor; the earlier goes first."""
        wanted = dict.fromkeys((*self._marked, self.run.report.run_id if self.run else ""))
        runs = [run for run_id in list(wanted)[:2] if (run := self._find(run_id)) is not None]
        if len(runs) < 2:
            self.notify("mark one run with m, go to another, then press d")
            return
        before, after = sorted(runs, key=lambda run: run.at)
        ids = (before.report.run_id, after.report.run_id)
        self.dependencies.events.add(f"compared {ids[0]} with {ids[1]}", command=("runs", "diff", *ids))
        self.app.push_screen(ComparisonScreen(compare(before.report, after.report)))

    def action_export(self) -> None:
        run = self.run
        if run is None:
            return
        path = Path(f"couponctl-run-{run.report.run_id}.json")
        try:
            path = path.absolute()  # fails if the working directory was removed
            path.write_text(json.dumps(run.as_json(), indent=2) + "\n", "utf-8")
        except OSError as exc:
            self.notify(f"{path.name} cannot be written: {exc.strerror}", severity="error", markup=False)
        else:
            self.dependencies.events.add(f"run {run.report.run_id} is in {path}", tone=Tone.GOOD)
            self.notify(f"written to {path.name}", markup=False)
