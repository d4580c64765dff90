"""The base of the four modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.containers import Container
from textual.screen import Screen
from textual.widgets import Footer, Static

from couponctl.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.widget import Widget

    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.poller import Poller
    from couponctl.tui.snapshot import Snapshot


class ModeScreen(Screen[None]):
    """A screen with top bar and footer, whose pollers run only while its mode is the current one."""

    MODE: ClassVar[str]
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-normal"), (140, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (16, "-short"), (30, "-tall")]  # noqa: RUF012

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__()
        self.dependencies = dependencies
        self.pollers: tuple[Poller[Any], ...] = ()

    def compose(self) -> ComposeResult:
        yield TopBar(self.MODE, self.dependencies.settings)
        yield Static("terminal too small: minimum 60 x 16", id="too-small", markup=False)
        yield Container(*self.panes(), id="body")
        yield Footer()

    def panes(self) -> Iterable[Widget]:
        """Return the widgets between top bar and footer."""
        raise NotImplementedError

    def on_mount(self) -> None:
        for poller in self.pollers:
            self.run_worker(poller.follow(), group="pollers", exit_on_error=False)
        self.app.mode_change_signal.subscribe(self, self._mode_changed)
        self._mode_changed(self.app.current_mode)

    def _mode_changed(self, mode: str) -> None:
        for poller in self.pollers:
            if mode == self.MODE:
                poller.resume()
            else:
                poller.pause()

    def apply(self, snapshot: Snapshot) -> None:
        """Draw what has changed since the last time."""
        self.query_one(TopBar).apply(snapshot, stale=self.database_is_silent)

    @property
    def database_is_silent(self) -> bool:
        """Whether what this screen shows of the database is stale."""
        return any(poller.stale for poller in self.pollers)
