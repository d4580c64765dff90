"""The claimants of a coupon, page by page, and whether one user is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from couponctl.present import claim_words, counted, stock_line
from couponctl.tui.events import operands
from couponctl.tui.text import Tone, literal, sentence_of
from couponctl.tui.widgets.live_table import Column, LiveTable, Row, cell
from couponctl.tui.widgets.pane import LiveText
from couponctl.tui.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from couponctl.tui.dependencies import Dependencies


PAGE = 500
"""Claimants per page."""


class ClaimantsScreen(ModalScreen[None]):
    """One coupon and its claimants by user id."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss", "Close"),
        ("greater_than_sign,right_square_bracket", "next_page", "Next page"),
        ("less_than_sign,left_square_bracket", "first_page", "First page"),
        ("slash", "ask", "Did this user get it?"),
    ]
    AUTO_FOCUS = "#claimants"

    def __init__(self, dependencies: Dependencies, coupon: str) -> None:
        super().__init__()
        self._dependencies = dependencies
        self._coupon = coupon
        self._next: str | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as dialog:
            dialog.border_title = literal(self._coupon)
            dialog.border_subtitle = literal("/ ask for a user · > next page · < first page · esc close")
            yield LiveText(id="stock")
            yield SafeInput(placeholder="user id: did this user get it?", id="user")
            yield LiveText(id="answer")
            yield LiveTable((Column("User id", 20, grows=True),), id="claimants")

    def on_mount(self) -> None:
        self._read(after=None)

    def action_ask(self) -> None:
        self.query_one("#user", Input).focus()

    def action_next_page(self) -> None:
        if self._next is not None:
            self._read(after=self._next)

    def action_first_page(self) -> None:
        self._read(after=None)

    def _read(self, after: str | None) -> None:
        self.run_worker(self._show_page(after), exclusive=True, exit_on_error=False)

    async def _show_page(self, after: str | None) -> None:
        stock = self.query_one("#stock", LiveText)
        try:
            page = await self._dependencies.client.show(self._coupon, limit=PAGE, after=after)
        except Exception as error:  # noqa: BLE001 - see sentence_of
            stock.show(literal(sentence_of(error), Tone.WARN))
            return
        self._next = page.next
        more = "more: >" if page.next is not None else "the last page"
        words = f"{stock_line(page.coupon)}; {counted(len(page.claimed_by), 'user')} here, {more}"
        stock.show(literal(words))
        self.query_one(LiveTable).show([Row(user, (cell(user),)) for user in page.claimed_by])

    @on(Input.Submitted, "#user")
    async def _look_up(self, event: Input.Submitted) -> None:
        self.run_worker(self._answer(event.value), group="answer", exclusive=True, exit_on_error=False)

    async def _answer(self, user: str) -> None:
        answer = self.query_one("#answer", LiveText)
        try:
            claim = await self._dependencies.client.find_claim(self._coupon, user)
        except Exception as error:  # noqa: BLE001 - see sentence_of
            answer.show(literal(sentence_of(error), Tone.WARN))
            return
        words = claim_words(self._coupon, user, claim)
        tone = Tone.WARN if claim is None else Tone.GOOD
        answer.show(literal(words, tone))
        command = ("show", "--user", user, *operands(self._coupon))
        self._dependencies.events.add(words, command=command, tone=tone)
