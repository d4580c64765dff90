"""The console's app: four modes, one timer, and an exit that leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import NoColor

from couponctl.aio import signals
from couponctl.drills.reports.conclusion import conclusion
from couponctl.errors import CouponctlError, Misconfigured
from couponctl.guards import consent_for
from couponctl.logs import logger
from couponctl.present import safe
from couponctl.tui.contrast import Legible
from couponctl.tui.keyboard import KeyByKey
from couponctl.tui.modes import MODES
from couponctl.tui.palette import ConsoleCommands
from couponctl.tui.screens.confirm import Confirm
from couponctl.tui.screens.coupons import Coupons
from couponctl.tui.screens.drills import Drills
from couponctl.tui.screens.event_list import EventsScreen
from couponctl.tui.screens.help import HelpScreen, keys_of
from couponctl.tui.screens.mode import ModeScreen
from couponctl.tui.screens.pool import Pool
from couponctl.tui.screens.runs import Runs
from couponctl.tui.snapshot import Snapshot
from couponctl.tui.terminal import TerminalDriver
from couponctl.tui.text import Tone, glyph_tone, sentence_of
from couponctl.tui.theme import THEMES, first_theme

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType
    from textual.app import SystemCommand
    from textual.binding import BindingType
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.notifications import SeverityLevel
    from textual.screen import Screen

    from couponctl.drills.reports.report import Report
    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.drill_process import RunningDrill

_log = logger(__name__)

_SEVERITIES: dict[Tone, SeverityLevel] = {
    Tone.GOOD: "information",
    Tone.WARN: "warning",
    Tone.BAD: "error",
}

# Shared instances: Textual does not filter an unchanged line again with the same filters.
_WITHOUT_COLORS = NoColor()
_LEGIBLE = {dark: Legible(dark=dark) for dark in (False, True)}

_HUNG_UP = signals.exit_code(signal.SIGHUP)


class CouponApp(KeyByKey):
    """Four modes over one service."""

    # A relative path would be resolved beside the module of a subclass.
    CSS_PATH = Path(__file__).with_name("couponctl.tcss")
    TITLE = "couponctl"
    COMMANDS = {ConsoleCommands}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"mode('{mode}')", f"Mode {number}: {mode}", show=False)
            for number, mode in enumerate(MODES, start=1)
        ),
        Binding("question_mark", "keys", "Keys"),
        Binding("ctrl+e", "events", "Event log", show=False),
        Binding("t", "change_theme", "Theme", show=False),
        Binding("q,ctrl+q", "quit", "Quit", show=False),
    ]

    def __init__(self, dependencies: Dependencies, *, refresh_hz: float = 4.0) -> None:
        """`refresh_hz` is the number of redraws per second; 0 disables the timer, for tests."""
        super().__init__()
        self.dependencies = dependencies
        self._refresh_hz = refresh_hz
        self._last_tick: float | None = None
        self._lag_ms = 0
        self._leaving = False
        self._missed_a_frame = False
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._first_theme(os.environ.get("TEXTUAL_THEME", "").split(","))
        for mode, screen in zip(MODES, (Coupons, Drills, Pool, Runs), strict=True):
            self.add_mode(mode, partial(screen, dependencies))

    async def on_mount(self) -> None:
        await self.switch_mode("coupons")
        loop = asyncio.get_running_loop()
        for number in signals.handled():
            loop.add_signal_handler(number, self._ended_from_outside, signals.exit_code(number))
        if self._refresh_hz:
            self.set_interval(1 / self._refresh_hz, self.tick)
        self.run_worker(self._look_for_leftovers(), group="leftovers", exit_on_error=False)

    def _first_theme(self, wishes: Sequence[str]) -> str:
        names = list(filter(None, map(str.strip, wishes)))
        wished = next((name for name in names if name in self.available_themes), "")
        if names and not wished:
            self.dependencies.events.add(f"there is no theme {names[0]}", tone=Tone.WARN)
        return first_theme(self.console.color_system, no_color=self.no_color, wished=wished)

    def tick(self) -> None:
        """Draw what has changed."""
        terminal = self._terminal
        if terminal is not None and terminal.gone:
            self._leave(_HUNG_UP)
            return
        if terminal is not None and terminal.behind:
            return
        if self._missed_a_frame:
            self._missed_a_frame = False
            self.screen.refresh()
        self._measure_lag()
        if (ended := self.dependencies.runner.just_ended()) is not None:
            self._announce(ended)
        screen = self.screen_stack[0]
        if isinstance(screen, ModeScreen) and screen.is_mounted:
            screen.apply(
                Snapshot(
                    self.dependencies.client.pool_stats(), self.dependencies.runner.state(), self._lag_ms
                )
            )

    @property
    def _terminal(self) -> TerminalDriver | None:
        """None in tests, which draw without a terminal."""
        return self._driver if isinstance(self._driver, TerminalDriver) else None

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        # All drawing passes here, from a tick or from a key; the event loop must not wait for the terminal.
        if self._terminal is not None and self._terminal.behind:
            self._missed_a_frame = True
        else:
            super()._display(screen, renderable)

    def _measure_lag(self) -> None:
        now = self.dependencies.clock()
        if self._last_tick is not None and self._refresh_hz:
            late = now - self._last_tick - 1 / self._refresh_hz
            self._lag_ms = max(0, int(late * 200) * 5)
        self._last_tick = now

    def _announce(self, ended: RunningDrill) -> None:
        report = ended.report
        if report is None:
            words = f"{ended.spec.drill.name}: {ended.failure}"
            self.dependencies.events.add(words, tone=Tone.WARN)
            self._say_unless_shown(ended, words, severity="warning")
        else:
            how = conclusion(report)
            words, tone = f"{report.drill}: {how}", glyph_tone(how.glyph)
            self.dependencies.events.add(words, command=("runs", "show", report.run_id), tone=tone)
            self._say_unless_shown(ended, words, severity=_SEVERITIES[tone])
            self.run_worker(self._save(report), group="saving", exit_on_error=False)
        if ended.left_behind:
            left = f"schema {ended.left_behind} is left on the server"
            self.dependencies.events.add(left, command=("drill", "clean"), tone=Tone.BAD)

    def _say_unless_shown(self, ended: RunningDrill, words: str, *, severity: SeverityLevel) -> None:
        screen = self.screen
        if not (isinstance(screen, Drills) and screen.shows_end_of(ended.spec.drill.name)):
            self.say(words, severity=severity)

    async def _save(self, report: Report) -> None:
        try:
            await asyncio.to_thread(self.dependencies.runs.save, report, made_by="console")
        except Exception as error:  # noqa: BLE001 - see sentence_of
            _log.warning("Run %s was not saved: %s.", report.run_id, type(error).__name__)
            self.dependencies.events.add(f"this run was not saved: {sentence_of(error)}", tone=Tone.WARN)

    def say(self, words: str, *, severity: SeverityLevel = "information") -> None:
        """Show a toast; the words are shown literally."""
        self.notify(safe(words), severity=severity, markup=False)

    async def _look_for_leftovers(self) -> None:
        """Report schemas left by crashed drills, as soon as the server answers; offer to remove them."""
        while True:
            try:
                dead = [each for each in await self.dependencies.leftovers.find() if not each.running]
                break
            except Misconfigured as error:
                self.dependencies.events.add(error.message, tone=Tone.WARN)
                return
            except CouponctlError:
                await asyncio.sleep(2)
        if not dead:
            return
        _log.warning("%s schemas were left on the server by drills that crashed.", len(dead))
        for leftover in dead:
            self.dependencies.events.add(
                f"{leftover.schema} was left by a drill that crashed", tone=Tone.WARN
            )
        while len(self.screen_stack) > 1:
            await asyncio.sleep(0.1)  # nobody typing into a form may answer this by accident
        try:
            required = consent_for(self.dependencies.settings)
            consequences = [f"drop {one.schema}" for one in dead]
            word = required.word if required else ""
            question = Confirm("Leftover drill schemas found", consequences, word=word, action="Remove")
            if not await self.push_screen_wait(question):
                return
            await self.dependencies.leftovers.remove(dead)
        except CouponctlError as error:
            self.dependencies.events.add(error.message, tone=Tone.WARN)
        else:
            self.dependencies.events.add("removed leftover drill schemas", command=("drill", "clean"))

    def action_mode(self, mode: str) -> None:
        self.switch_mode(mode)

    def action_keys(self) -> None:
        self.push_screen(HelpScreen(keys_of(self, self.screen)))

    def action_events(self) -> None:
        self.push_screen(EventsScreen(self.dependencies.events))

    async def action_offer_drill(self, name: str, stock: int = 0) -> None:
        """Go to the drills and open the form of one, for `stock` units and ten times as many users."""
        await self.switch_mode("drills")
        screen = self.screen
        if isinstance(screen, Drills):
            screen.offer(name, {"stock": stock, "n": stock * 10} if stock else {})

    async def action_quit(self) -> None:
        if not self.dependencies.runner.running:
            self.exit(0)
            return
        question = Confirm(
            "Quit?", ["A drill is running. Quitting aborts it and drops its schema."], action="Quit"
        )
        self.push_screen(question, self._quit_agreed)

    def _quit_agreed(self, agreed: bool | None) -> None:
        if agreed:
            self._leave(0)

    def _ended_from_outside(self, exit_code: int) -> None:
        self._leave(exit_code)

    def _leave(self, exit_code: int) -> None:
        if not self._leaving:
            self._leaving = True
            _log.info("The console is left, with exit code %s.", exit_code)
            self.run_worker(self._end_drill_and_exit(exit_code), group="leaving")

    async def _end_drill_and_exit(self, exit_code: int) -> None:
        await asyncio.to_thread(self.dependencies.runner.end)
        self.exit(exit_code)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        unwanted = {"Maximize", "Minimize", "Keys"}
        return (each for each in super().get_system_commands(screen) if each.title not in unwanted)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the frame colour for themes that are not couponctl's own."""
        return {"line": "ansi_bright_black" if self.current_theme.ansi else "#808080"}

    def get_driver_class(self) -> type[Driver]:
        usual = super().get_driver_class()
        return TerminalDriver if usual is LinuxDriver else usual

    def panic(self, *_renderables: RenderableType) -> None:
        _log.warning("The console can no longer use its terminal.")
        # Textual shows a traceback when it can no longer read its terminal; mostly the terminal was closed.
        self._leave(_HUNG_UP)

    def get_line_filters(self) -> Sequence[LineFilter]:
        # Textual decides how to apply NO_COLOR before it knows the theme, and would draw black on black.
        if self.no_color:
            return [_WITHOUT_COLORS]
        return [*super().get_line_filters(), _LEGIBLE[self.current_theme.dark]]

    async def run_to_the_end(self) -> int:
        """Run until the operator leaves; return the exit code. Raises the error that ended the console."""
        code = await self.run_async()
        if self._exception is not None:
            raise self._exception
        return code or 0

    def _fatal_error(self) -> None:
        # Textual would print a traceback with local variables, and a password may be among them.
        self._close_messages_no_wait()
