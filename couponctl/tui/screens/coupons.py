"""Mode 1: the coupons, live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import DataTable, Input

from couponctl.errors import CouponNotFound
from couponctl.models import Sort
from couponctl.present import counted, safe, sight_words, stock_state
from couponctl.tui.clipboard import copy
from couponctl.tui.events import operands
from couponctl.tui.keyboard import forget_what_was_typed
from couponctl.tui.poller import Poller
from couponctl.tui.rates import Rates, rate_words
from couponctl.tui.screens.claimants import ClaimantsScreen
from couponctl.tui.screens.forms import ClaimCoupon, NewCoupon
from couponctl.tui.screens.mode import ModeScreen
from couponctl.tui.text import Tone, glyph_tone, literal, sentence_of
from couponctl.tui.widgets.event_pane import EventPane
from couponctl.tui.widgets.gauges import gauge
from couponctl.tui.widgets.integrity import IntegrityPane
from couponctl.tui.widgets.live_table import Cell, Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText, Pane
from couponctl.tui.widgets.pool_pane import PoolPane
from couponctl.tui.widgets.safe_input import SafeInput
from couponctl.tui.widgets.selected import SelectedPane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.binding import BindingType
    from textual.widget import Widget

    from couponctl.models import Claim, Coupon, CouponPage
    from couponctl.tui.dependencies import Dependencies
    from couponctl.tui.snapshot import Snapshot

PAGE = 500
"""Coupons per page."""

_MOST_TO_SORT = 50_000
"""Maximum number of claims to look for the newest in: there is no index on their age."""

_MOST_STOCK = 100
"""Maximum stock that the form for a flash sale is opened with; the form accepts more."""

_GAUGE = 12

_COLUMNS = (
    Column("Name", 14, grows=True),
    Column("State", 10),
    Column("Left", 9, right=True),
    Column("Stock", _GAUGE, rank=2),
    Column("Total", 9, right=True, rank=1),
    Column("Claims/s", 8, right=True, rank=3),
)


@dataclass(frozen=True, slots=True)
class Question:
    """Which coupons to list, and in which order."""

    matching: str = ""
    sort: Sort = Sort.NAME
    starts: tuple[str | None, ...] = (None,)
    """Where this page and each before it start."""

    @property
    def title(self) -> str:
        parts = ["Coupons"]
        if self.sort is not Sort.NAME:
            parts.append(f"by {self.sort.value}")
        if self.matching:
            parts.append(f'with "{self.matching}"')
        return " · ".join(parts)


_NEWEST = Question(sort=Sort.CREATED)
"""The list in which a new coupon is found, whatever its name."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page, and the question that it answers."""

    question: Question
    page: CouponPage

    @property
    def count(self) -> str:
        """The number of coupons, or the positions of those on this page."""
        before, here = PAGE * (len(self.question.starts) - 1), len(self.page.coupons)
        if self.page.next is not None:
            return f"{before + 1:,}-{before + here:,}, more: >"
        return f"{before + 1:,}-{before + here:,}, the last" if before and here else counted(here, "coupon")


@dataclass(frozen=True, slots=True)
class Fresh:
    """A coupon that was just created, until the cursor is on it."""

    coupon: Coupon
    question: Question
    """The question at that time."""
    beside: str | None
    """Where the cursor was."""
    version: int
    """The first version of the listing that must include it."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest claimants of a coupon that has `claimed` claims."""

    name: str
    claimed: int
    claims: tuple[Claim, ...]


class Coupons(ModeScreen):
    """The coupon table, and the details of the coupon under the cursor."""

    MODE = "coupons"
    AUTO_FOCUS = "#coupon-table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "New"),
        Binding("c", "claim", "Claim"),
        Binding("slash", "filter", "Filter"),
        Binding("f", "flash_sale", "Flash sale"),
        Binding("v", "verify", "Verify"),
        Binding("s", "sort", "Sort by the next column", show=False),
        Binding("y", "copy", "Copy the name", show=False),
        Binding("greater_than_sign,right_square_bracket", "next_page", "Next page", show=False),
        Binding("less_than_sign,left_square_bracket", "previous_page", "Previous page", show=False),
        Binding("escape", "no_filter", "No filter", show=False),
    ]

    def __init__(self, dependencies: Dependencies) -> None:
        super().__init__(dependencies)
        self.asked = Question()
        self._listing = Poller(self._read_listing, clock=dependencies.clock)
        self._newest = Poller(self._read_newest, clock=dependencies.clock)
        self.pollers = (self._listing, self._newest)
        self._rates = Rates()
        self._shown: Listing | None = None
        """What is in the table."""
        self._fresh: Fresh | None = None

    def panes(self) -> Iterable[Widget]:
        search = SafeInput(placeholder="filter by name", id="filter")
        table = LiveTable(_COLUMNS, id="coupon-table")
        yield Pane("Coupons", search, table, LiveText(classes="empty"), id="coupons")
        yield Vertical(
            SelectedPane(),
            PoolPane("Connection pool", id="pool"),
            IntegrityPane(),
            EventPane(self.dependencies.events),
            id="side",
        )

    def choose(self) -> tuple[Coupon, ...] | None:
        """Return what a key acts on: the coupon just created, else the one under the cursor, if any.

        None while the list shown is not the one asked for: it would be unclear which row is meant.
        """
        if self._fresh is not None and self._stays_for(self._fresh):
            return (self._fresh.coupon,)
        if self._shown is not None and self._shown.question != self.asked:
            forget_what_was_typed(self)
            self.notify("the list that was asked for is not there yet", severity="warning")
            return None
        return () if self.coupon is None else (self.coupon,)

    @property
    def table(self) -> LiveTable:
        return self.query_one("#coupon-table", LiveTable)

    @property
    def coupon(self) -> Coupon | None:
        """The coupon under the cursor."""
        shown, selected = self._shown, self.table.selected
        if shown is None or selected is None:
            return None
        return next((c for c in shown.page.coupons if c.name == selected), None)

    def apply(self, snapshot: Snapshot) -> None:
        super().apply(snapshot)
        self._apply_listing()
        coupon, newest = self.coupon, self._newest.value
        claims = newest.claims if newest and coupon and newest.name == coupon.name else None
        rate = self._rates.of(coupon.name) if coupon else 0.0
        self.query_one(SelectedPane).apply(coupon, rate, claims)
        self.query_one(PoolPane).apply(snapshot.pool)
        self.query_one(EventPane).apply()

    def _apply_listing(self) -> None:
        pane = self.query_one("#coupons", Pane)
        pane.say_stale(self._listing.stale)
        listing = self._listing.value
        if listing is None or listing.question != self.asked or listing is self._shown:
            return
        self._shown = listing
        coupons = listing.page.coupons
        self._rates.note(coupons, self.dependencies.clock())
        fresh = self._fresh if self._fresh is not None and self._stays_for(self._fresh) else None
        self.table.show([self._row(coupon) for coupon in coupons])
        pane.count(listing.count)
        self.query_one(".empty", LiveText).show(literal("" if coupons else self._nothing, Tone.DIM))
        self.set_class(not coupons, "-empty")
        self._fresh = None if fresh is None else self._gone_to(fresh, listing)

    def _gone_to(self, fresh: Fresh, listing: Listing) -> Fresh | None:
        """Move the cursor to the coupon; return None when done, else where to look next."""
        name = fresh.coupon.name
        if name in {coupon.name for coupon in listing.page.coupons}:
            self.table.select(name)
            return None
        beside = self.table.selected
        if self._listing.failure or self._listing.version < fresh.version:
            return replace(fresh, beside=beside)
        if self.asked == _NEWEST:
            return None  # it was removed meanwhile
        self.action_no_filter()
        self._ask(_NEWEST)
        self.notify(safe(f"{name} is not in that list: sorted by newest now"), markup=False)
        return Fresh(fresh.coupon, _NEWEST, beside, self._listing.poll_now())

    def _stays_for(self, fresh: Fresh) -> bool:
        """Whether the operator has neither moved the cursor nor asked for another list since."""
        return self.asked == fresh.question and self.table.selected == fresh.beside

    @property
    def _nothing(self) -> str:
        if self.asked.matching:
            return f'no coupon has "{self.asked.matching}" in its name: press escape'
        return "no coupons yet: press n"

    def _row(self, coupon: Coupon) -> Row:
        state = stock_state(coupon)
        tone = glyph_tone(state)
        full, empty = gauge(coupon.remaining_amount, coupon.amount, _GAUGE)
        rate = self._rates.of(coupon.name)
        return Row(
            coupon.name,
            (
                cell(coupon.name),
                cell(state, tone),
                cell(f"{coupon.remaining_amount:,}", Tone.STRONG),
                Cell(((full, Tone.ACCENT), (empty, Tone.DIM))),
                cell(f"{coupon.amount:,}"),
                cell(rate_words(rate), Tone.PLAIN if rate else Tone.DIM),
            ),
        )

    async def _read_listing(self) -> Listing:
        asked = self.asked
        try:
            page = await self.dependencies.client.list(
                matching=asked.matching, sort=asked.sort, limit=PAGE, after=asked.starts[-1]
            )
        except CouponNotFound:
            # The coupon after which this page starts was removed, and its place in the order with it.
            self._ask(replace(asked, starts=(None,)))
            page = await self.dependencies.client.list(matching=asked.matching, sort=asked.sort, limit=PAGE)
            asked = self.asked
        return Listing(asked, page)

    async def _read_newest(self) -> Newest | None:
        coupon, known = self.coupon, self._newest.value
        if coupon is None or coupon.claimed_amount > _MOST_TO_SORT:
            return None
        if known and (known.name, known.claimed) == (coupon.name, coupon.claimed_amount):
            return known
        claims = await self.dependencies.client.newest_claimants(coupon.name, limit=5)
        return Newest(coupon.name, coupon.claimed_amount, claims)

    def _ask(self, question: Question) -> None:
        if question != self.asked:
            self.asked = question
            self.query_one("#coupons", Pane).retitle(question.title)
            self._listing.poll_now()

    @on(DataTable.RowHighlighted, "#coupon-table")
    def _selection_moved(self) -> None:
        self._newest.poll_now()

    @on(DataTable.RowSelected, "#coupon-table")
    def action_detail(self) -> None:
        for coupon in self.choose() or ():
            self.dependencies.events.add(f"looked at {coupon.name}", command=("show", *operands(coupon.name)))
            self.app.push_screen(ClaimantsScreen(self.dependencies, coupon.name))

    def action_new(self) -> None:
        self.app.push_screen(NewCoupon(self.dependencies), self._created)

    def _created(self, coupon: Coupon | None) -> None:
        version = self._listing.poll_now()
        if coupon is not None:
            self._fresh = Fresh(coupon, self.asked, self.table.selected, version)

    def action_claim(self) -> None:
        chosen = self.choose()
        if chosen is not None:
            name = chosen[0].name if chosen else ""
            self.app.push_screen(ClaimCoupon(self.dependencies, name), self._claimed)

    def _claimed(self, _result: object) -> None:
        self._listing.poll_now()

    def action_filter(self) -> None:
        self.add_class("-filtering")
        self.query_one("#filter", Input).focus()

    def action_no_filter(self) -> None:
        self.remove_class("-filtering")
        self.query_one("#filter", Input).value = ""
        self.table.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._ask(replace(self.asked, matching=event.value, starts=(None,)))

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self.table.focus()

    def action_sort(self) -> None:
        order = list(Sort)
        following = order[(order.index(self.asked.sort) + 1) % len(order)]
        self._ask(replace(self.asked, sort=following, starts=(None,)))

    def action_next_page(self) -> None:
        listing = self._listing.value
        if listing is not None and listing.question == self.asked and listing.page.next is not None:
            self._ask(replace(self.asked, starts=(*self.asked.starts, listing.page.next)))

    def action_previous_page(self) -> None:
        self._ask(replace(self.asked, starts=self.asked.starts[:-1] or (None,)))

    def action_copy(self) -> None:
        for coupon in self.choose() or ():
            copy(self.app, coupon.name)

    def action_verify(self) -> None:
        self.query_one(IntegrityPane).working()
        self.run_worker(self._verify(), group="verify", exclusive=True, exit_on_error=False)

    async def _verify(self) -> None:
        pane = self.query_one(IntegrityPane)
        try:
            audit = await self.dependencies.client.verify()
        except Exception as error:  # noqa: BLE001 - see sentence_of
            pane.failed(sentence_of(error))
            self._tell_of_audit(f"verify: {sentence_of(error)}", Tone.WARN)
            return
        pane.found(audit, self.dependencies.now())
        if audit.hidden and not audit.findings:
            self._tell_of_audit(f"ledger: {sight_words(audit.hidden)}", Tone.WARN)
            return
        words = "ledger: balanced" if audit.ok else f"ledger: {counted(len(audit.findings), 'finding')}"
        self._tell_of_audit(words, Tone.GOOD if audit.ok else Tone.BAD)

    def _tell_of_audit(self, words: str, tone: Tone) -> None:
        self.dependencies.events.add(words, command=("verify",), tone=tone)
        if not self.query_one(IntegrityPane).size:  # the pane has no room
            self.notify(safe(words), severity="information" if tone is Tone.GOOD else "error", markup=False)

    async def action_flash_sale(self) -> None:
        """Open the drill's form for this coupon's stock, up to _MOST_STOCK, and ten times as many users."""
        chosen = self.choose()
        if chosen is None:
            return
        stock = min(chosen[0].amount, _MOST_STOCK) if chosen else 0
        await self.app.run_action(f"app.offer_drill('flash-sale', {stock})")
