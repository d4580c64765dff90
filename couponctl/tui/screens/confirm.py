"""A confirmation before anything irreversible is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from couponctl.tui.keyboard import forget_what_was_typed
from couponctl.tui.text import lines as stacked
from couponctl.tui.text import literal
from couponctl.tui.widgets.pane import LiveText
from couponctl.tui.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType


class Confirm(ModalScreen[bool]):
    """A question with its consequences; if a word is required, nothing else agrees."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,n", "refuse", "No"),
        ("y", "agree", "Yes"),
    ]

    def __init__(
        self, title: str, consequences: Sequence[str], *, word: str = "", action: str = "Yes"
    ) -> None:
        """`word` is the name to type; empty for a plain question.

        Without an `action` nothing is asked: the operator reads and closes it.
        """
        super().__init__()
        self._title = title
        self._consequences = tuple(consequences)
        self._word = word
        self._action = action

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = literal(self._title)
            with VerticalScroll(classes="fields", can_focus=False):
                yield Static(stacked(*map(literal, self._consequences)), markup=False)
            with Vertical(classes="foot"):
                if self._word:
                    yield LiveText(id="wish", classes="label")
                    yield SafeInput(id="word")
                with Horizontal(classes="buttons"):
                    if self._action:
                        yield Button(self._action, id="agree", variant="warning", compact=True)
                    no = "No" if self._action else "Close"
                    yield Button(no, id="refuse", variant="primary", compact=True)

    def on_mount(self) -> None:
        forget_what_was_typed(self)
        if self._word:
            self._wish("to continue")
        self.query_one("#word" if self._word else "#refuse").focus()

    @on(Input.Submitted)
    @on(Button.Pressed, "#agree")
    def action_agree(self) -> None:
        if not self._word:
            self._answer(agreed=bool(self._action))
        elif self.query_one("#word", Input).value == self._word:
            self._answer(agreed=True)
        else:
            self._wish("to continue: what was typed is something else")
            self.query_one("#word", Input).focus()

    def _wish(self, why: str) -> None:
        self.query_one("#wish", LiveText).show(literal(f"Type {self._word} {why}"))

    @on(Button.Pressed, "#refuse")
    def action_refuse(self) -> None:
        self._answer(agreed=False)

    def _answer(self, *, agreed: bool) -> None:
        """Answer only once: a second answer would go to the screen below."""
        if self.is_active:
            forget_what_was_typed(self)
            self.dismiss(agreed)
