"""Mode 3: the pools, the server, and who blocks whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Horizontal

from couponctl.postgres.activity import blocking_chains
from couponctl.present import backend_row, blocking_line, counted, hidden_line
from couponctl.tui.poller import Poller
from couponctl.tui.screens.mode import ModeScreen
from couponctl.tui.text import Tone, joined, lines, literal
from couponctl.tui.widgets.live_table import Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText, Pane
from couponctl.tui.widgets.pool_pane import PoolPane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import BindingType
    from textual.content import Content
    from textual.widget import Widget

    from couponctl.models import Activity, Backend
    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.snapshot import Snapshot

_COLUMNS = (
    Column("PID", 7, right=True),
    Column("Application", 20, rank=1),
    Column("User", 9, rank=4),
    Column("State", 19),
    Column("Waits for", 18, rank=2),
    Column("Age", 7, right=True),
    Column("Query", 30, rank=3, grows=True),
)

_LONGEST_QUERY = 200
"""Maximum width of a statement in cells: no terminal shows more beside the other columns."""

_NOT_SHOWN = "no lock waits"

_SORTS: dict[str, Callable[[Backend], tuple[object, ...]] | None] = {
    "": None,
    "by age": lambda backend: (-(backend.age or 0), backend.pid),
    "by application": lambda backend: (backend.application, backend.pid),
    "by state": lambda backend: (backend.state, backend.pid),
}


class Pool(ModeScreen):
    """Client pools above, the server's view of all its backends below."""

    MODE = "pool"
    AUTO_FOCUS = "#backends"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause"),
        Binding("l", "locks_only", "Locks only"),
        Binding("s", "sort", "Sort"),
    ]

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self._activity = Poller(dependencies.look_at_server, clock=dependencies.clock)
        self.pollers = (self._activity,)
        self._commits_per_s: float | None = None
        self._shown: Activity | None = None
        self._paused = False
        self._locks_only = False
        self._sort = ""

    def panes(self) -> Iterable[Widget]:
        yield Horizontal(
            PoolPane("Console's pool", id="own-pool"),
            PoolPane("Drill's pool", id="drill-pool", absent="no drill has run yet"),
            Pane("Server", LiveText(id="server-figures", classes="fill"), id="server"),
            id="pools",
        )
        yield Pane("Backends", LiveTable(_COLUMNS, id="backends"), id="backends-pane")
        yield Pane("Blocking", LiveText(id="chains", classes="fill"), id="blocking")

    def apply(self, snapshot: Snapshot) -> None:
        super().apply(snapshot)
        self.query_one("#backends-pane", Pane).say_stale(self._activity.stale)
        if self._paused:
            return
        self.query_one("#own-pool", PoolPane).apply(snapshot.pool)
        self.query_one("#drill-pool", PoolPane).apply(snapshot.drill.view.pool if snapshot.drill else None)
        activity = self._activity.value
        if activity is not None and activity is not self._shown:
            self._note_commits(activity)
            self._show(activity)

    def _note_commits(self, activity: Activity) -> None:
        # Without rollbacks: a pool that tests a connection before lending it rolls back each time.
        before, self._shown = self._shown, activity
        if before is not None and activity.at > before.at:
            commits = max(0, activity.commits - before.commits)
            self._commits_per_s = commits / (activity.at - before.at)

    def _show(self, activity: Activity) -> None:
        self.query_one("#server-figures", LiveText).show(_server_content(activity, self._commits_per_s))
        backends = [b for b in activity.backends if not self._locks_only or _in_a_lock(b, activity)]
        key = _SORTS[self._sort]
        if key is not None:
            backends.sort(key=key)
        self.query_one(LiveTable).show([_row(backend) for backend in backends])
        pane = self.query_one("#backends-pane", Pane)
        locks = "locks only" if self._locks_only else ""
        pane.retitle(" · ".join(filter(None, ["Backends", locks, self._sort])))
        pane.count(counted(len(backends), "backend") + (", and more" if activity.truncated else ""))
        self.query_one("#chains", LiveText).show(_chains_content(activity))

    def action_pause(self) -> None:
        self._paused = not self._paused
        self.query_one("#pools").set_class(self._paused, "-paused")
        self.query_one("#own-pool", Pane).retitle("Console's pool" + (" (paused)" if self._paused else ""))

    def action_locks_only(self) -> None:
        self._locks_only = not self._locks_only
        self._draw_again()

    def action_sort(self) -> None:
        order = list(_SORTS)
        self._sort = order[(order.index(self._sort) + 1) % len(order)]
        self._draw_again()

    def _draw_again(self) -> None:
        if self._shown is not None:
            self._show(self._shown)


def _in_a_lock(backend: Backend, activity: Activity) -> bool:
    """Whether the backend waits for a lock, or another one waits for it."""
    return backend.waits_for_lock or any(backend.pid in other.blocked_by for other in activity.backends)


def _row(backend: Backend) -> Row:
    stuck = backend.state.startswith("idle in transaction")
    tone = Tone.WARN if stuck else Tone.GOOD if backend.state == "active" else Tone.DIM
    tones = (
        Tone.STRONG,
        Tone.ACCENT if backend.own else Tone.PLAIN,
        Tone.PLAIN,
        tone,
        Tone.BAD if backend.waits_for_lock else Tone.PLAIN,
        Tone.PLAIN,
        Tone.DIM,
    )
    return Row(str(backend.pid), tuple(map(cell, backend_row(backend, _LONGEST_QUERY), tones)))


def _server_content(activity: Activity, commits_per_s: float | None) -> Content:
    stats = activity.stats
    commits = "–" if commits_per_s is None else f"{commits_per_s:,.0f}/s"
    figures = {
        "version": (f"PostgreSQL {stats.version}", Tone.PLAIN),
        "backends": (
            f"{stats.backends:,} of {stats.max_connections:,}, {stats.own_backends:,} ours",
            Tone.PLAIN,
        ),
        "active": (f"{stats.active:,}", Tone.PLAIN),
        "idle in tx": (
            f"{stats.idle_in_transaction:,}",
            Tone.WARN if stats.idle_in_transaction else Tone.PLAIN,
        ),
        "lock wait": (f"{stats.lock_waits:,}", Tone.BAD if stats.lock_waits else Tone.PLAIN),
        "commits": (commits, Tone.PLAIN),
    }
    return lines(
        *(joined(literal(f"{name:<11}", Tone.DIM), literal(*shown)) for name, shown in figures.items())
    )


def _chains_content(activity: Activity) -> Content:
    chains = blocking_chains(activity.backends)
    shown = [literal(blocking_line(row), Tone.BAD if row.depth == 0 else Tone.PLAIN) for row in chains] or [
        literal(_NOT_SHOWN, Tone.DIM)
    ]
    if activity.hidden:
        shown.append(literal(hidden_line(activity.hidden), Tone.DIM))
    return lines(*shown)
