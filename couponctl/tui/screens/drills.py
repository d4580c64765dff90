"""Mode 2: the drills, and the running one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from couponctl.drills.catalog import DRILLS
from couponctl.drills.plan import Plan
from couponctl.drills.reports.conclusion import conclusion
from couponctl.errors import CouponctlError
from couponctl.guards import consent_for
from couponctl.present import safe
from couponctl.tui.screens.confirm import Confirm
from couponctl.tui.screens.drill_form import Decision, Draft, DrillForm
from couponctl.tui.screens.mode import ModeScreen
from couponctl.tui.text import Tone, glyph_tone, joined, lines, literal
from couponctl.tui.widgets.event_pane import EventPane
from couponctl.tui.widgets.options import Options
from couponctl.tui.widgets.pane import Pane
from couponctl.tui.widgets.run_panes import ChecksPane, HistogramPane, RunPane, WaitingPane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.binding import BindingType
    from textual.content import Content
    from textual.widget import Widget

    from couponctl.drills.drill import Drill, DrillSpec
    from couponctl.drills.reports.report import Report
    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.snapshot import Snapshot


class Drills(ModeScreen):
    """The catalog beside the run."""

    MODE = "drills"
    AUTO_FOCUS = "#catalog-list"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run", "Run"),
        Binding("e", "edit", "Edit parameters"),
        Binding("x", "abort", "Abort"),
    ]

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._drafts = {drill.name: Draft(drill) for drill in DRILLS}
        self._glyphs: dict[str, str] = {}
        """The glyph of each drill's last verdict."""

    def panes(self) -> Iterable[Widget]:
        options = [Option(_entry(drill), id=drill.name) for drill in DRILLS]
        yield Pane("Drills", Options(*options, id="catalog-list", markup=False), id="catalog")
        yield Vertical(
            RunPane(),
            Horizontal(
                HistogramPane(),
                Vertical(ChecksPane(), WaitingPane(), EventPane(self.dependencies.events), id="drill-side"),
                id="drill-rows",
            ),
            id="drill-column",
        )

    def on_mount(self) -> None:
        self.run_worker(self._recall(), exit_on_error=False)

    async def _recall(self) -> None:
        """Show the verdicts of earlier sessions."""
        try:
            listing = await asyncio.to_thread(self.dependencies.runs.list)
        except CouponctlError:
            return  # the screen of the runs shows why
        for run in reversed(listing.runs):
            self._note(run.report)

    def _note(self, report: Report) -> None:
        glyph = conclusion(report).glyph
        catalog = self.query_one(OptionList)
        if self._glyphs.get(report.drill) == glyph or report.drill not in self._drafts:
            return
        self._glyphs[report.drill] = glyph
        catalog.replace_option_prompt(report.drill, _entry(self._drafts[report.drill].drill, glyph))

    @property
    def drill(self) -> Drill[Any]:
        """The drill under the cursor."""
        return DRILLS[self.query_one(OptionList).highlighted or 0]

    def apply(self, snapshot: Snapshot) -> None:
        super().apply(snapshot)
        state = snapshot.drill
        if state is not None and state.report is not None:
            self._note(state.report)
        if state is not None and not state.running and state.name != self.drill.name:
            state = None
        view = state.view if state else None
        if state is None:
            title = f"{self.drill.name}: {self.drill.title}"
            spec = self._drafts[self.drill.name].spec(self.dependencies.settings.limits)
            self.query_one(RunPane).describe(title, _description(spec))
        else:
            self.query_one(RunPane).apply(state)
        self.query_one(HistogramPane).apply(view.histogram if view else {})
        checks = state.report.checks if state and state.report else view.checks if view else ()
        self.query_one(ChecksPane).apply(checks, more=bool(state and state.running))
        self.query_one(WaitingPane).apply(view)
        self.query_one(EventPane).apply()

    def shows_end_of(self, name: str) -> bool:
        """Whether the operator sees on this screen that the drill has ended, and how."""
        return self.is_active and self.drill.name == name

    def offer(self, name: str, prefilled: Mapping[str, float] | None = None) -> None:
        """Move the cursor to a drill and open its form."""
        self.query_one(OptionList).highlighted = self.query_one(OptionList).get_option_index(name)
        self.action_edit(prefilled)

    @on(OptionList.OptionSelected)
    def _open(self) -> None:
        self.action_edit()

    def action_edit(self, prefilled: Mapping[str, float] | None = None) -> None:
        self.app.push_screen(DrillForm(self._drafts[self.drill.name], prefilled), self._decided)

    def _decided(self, decision: Decision | None) -> None:
        if decision is None:
            return
        draft = decision.draft
        self._drafts[draft.drill.name] = draft
        if decision.run:
            self._run(draft)
            return
        self.dependencies.events.add(f"{draft.drill.name} is ready: r runs it", command=draft.command)
        line = self.dependencies.events.command_line(draft.command)
        self.notify(safe(f"r runs it, as does: {line}"), title=f"{draft.drill.name} is ready", markup=False)

    def action_run(self) -> None:
        self._run(self._drafts[self.drill.name])

    def action_abort(self) -> None:
        if self.dependencies.runner.running:
            self.dependencies.runner.abort()
            self.dependencies.events.add("aborting the drill", tone=Tone.WARN)
        else:
            self.notify("no drill is running")

    def _run(self, draft: Draft) -> None:
        """Run the drill; ask first, unless the server is the private one."""
        settings = self.dependencies.settings
        if self.dependencies.runner.running:
            self.notify("a drill is already running: x aborts it", severity="warning")
            return
        try:
            required = consent_for(settings)
        except CouponctlError as error:
            self._refused(error)
            return
        if required is None:
            self._start(draft)
            return
        plan = Plan((draft.spec(settings.limits),))
        where = f"On {required.where}{' (PRODUCTION)' if required.production else ''} this will"
        question = Confirm(
            f"Run {draft.drill.name}?", [where, *plan.lines()], word=required.word, action="Run"
        )

        def answered(agreed: bool | None) -> None:
            if agreed:
                self._start(draft)

        self.app.push_screen(question, answered)

    def _start(self, draft: Draft) -> None:
        self.dependencies.runner.run(draft.spec(self.dependencies.settings.limits))
        self.dependencies.events.add(f"{draft.drill.name} has begun", command=draft.command)

    def _refused(self, error: CouponctlError) -> None:
        self.dependencies.events.add(error.message, tone=Tone.WARN)
        self.app.push_screen(Confirm("Refused", [str(error)], action=""))


def _entry(drill: Drill[Any], glyph: str = " ") -> Content:
    name = joined(literal(f"{glyph} ", glyph_tone(glyph)), literal(drill.name, Tone.STRONG))
    return lines(name, literal(f"  {drill.title}", Tone.DIM))


def _description(spec: DrillSpec[Any]) -> dict[str, str]:
    drill = spec.drill
    return {
        "expectation": drill.promise,
        "blast radius": drill.blast_radius,
        "faults": ", ".join(drill.faults) or "none",
        "parameters": ", ".join(_parameters(spec)),
    }


def _parameters(spec: DrillSpec[Any]) -> Iterable[str]:
    for each in spec.drill.parameters.described():
        yield f"{each.label} {getattr(spec.parameters, each.name):g}"
