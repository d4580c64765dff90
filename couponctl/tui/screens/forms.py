"""Modal forms, which show the service's own sentence if it refuses, and lose nothing that was typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import ScreenResume
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from couponctl.errors import CouponctlError, Invalid
from couponctl.present import safe
from couponctl.tui.events import operands
from couponctl.tui.keyboard import forget_what_was_typed
from couponctl.tui.text import Tone, literal
from couponctl.tui.widgets.pane import LiveText
from couponctl.tui.widgets.safe_input import SafeInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from couponctl.models import Coupon
    from couponctl.service import Attempt
    from couponctl.tui.dependencies import Dependencies

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    label: str
    initial: str = ""
    hint: str = ""
    optional: bool = False
    """An empty value has a meaning, so the form does not put the focus there."""


class Form(ModalScreen[T | None], Generic[T]):
    """Collects values and acts on them; closes only on success or on escape."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "give_up", "Cancel")]
    AUTO_FOCUS = None

    def __init__(self, title: str, fields: Sequence[Field], *, action: str) -> None:
        super().__init__()
        self._title = title
        self._fields = tuple(fields)
        self._action = action
        self._busy = False
        self._result: T | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = literal(self._title)
            with VerticalScroll(classes="fields", can_focus=False):
                for field in self._fields:
                    yield Static(literal(field.label), classes="label")
                    yield SafeInput(field.initial, id=f"field-{field.name}")
                    if field.hint:
                        yield Static(literal(field.hint, Tone.DIM), classes="hint")
            with Vertical(classes="foot"):
                yield LiveText(id="problem")
                yield Horizontal(*self.buttons(), classes="buttons")

    def buttons(self) -> Iterable[Button]:
        """Return the buttons; Enter in a field presses the first."""
        yield Button(self._action, id="submit", variant="primary", compact=True)
        yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        wanted = next((f for f in self._fields if not f.initial and not f.optional), self._fields[0])
        self._box(wanted).focus()

    async def act(self, values: Mapping[str, str]) -> T:
        """Perform the form's action. Raises CouponctlError, whose sentence the form then shows."""
        raise NotImplementedError

    @on(Input.Submitted)
    @on(Button.Pressed, "#submit")
    def submit(self) -> None:
        """Act on the current values of the fields, whatever is pressed afterwards."""
        if self._busy:
            return
        values = {field.name: self._box(field).value for field in self._fields}
        self._turn_busy(True)
        self.query_one("#problem", LiveText).show(literal("…", Tone.DIM))
        # A worker of the app: closing the form does not cancel what was sent, and its end is reported.
        self.app.run_worker(self._submit(values), group="forms", exit_on_error=False)

    @on(Button.Pressed, "#cancel")
    def action_give_up(self) -> None:
        if self.is_active:  # Textual would close whatever else is on top
            self.dismiss(None)

    def _box(self, field: Field) -> SafeInput:
        return self.query_one(f"#field-{field.name}", SafeInput)

    def _turn_busy(self, busy: bool) -> None:
        self._busy = busy
        for field in self._fields:
            self._box(field).locked = busy

    async def _submit(self, values: Mapping[str, str]) -> None:
        try:
            self._result = await self.act(values)
        except CouponctlError as error:
            self._refused(str(error))
        except Exception as error:  # noqa: BLE001 - a form shows what went wrong; it does not end the console
            self._refused(f"Unexpected: {type(error).__name__}.")
        else:
            self._close_if_done()

    def _refused(self, sentence: str) -> None:
        if self.is_attached:
            forget_what_was_typed(self)
            self._turn_busy(False)
            self.query_one("#problem", LiveText).show(literal(sentence, Tone.BAD))
        else:
            self.app.notify(safe(f"{self._title}: {sentence}"), severity="error", markup=False)

    @on(ScreenResume)
    def _close_if_done(self) -> None:
        # Only if on top: Textual would close another screen that is, such as the palette.
        if self._result is not None and self.is_active:
            forget_what_was_typed(self)
            self.dismiss(self._result)


def whole_number(what: str, text: str) -> int:
    """Parse a whole number. Raises Invalid."""
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits.removeprefix("-").isdecimal() or len(digits) > 20:
        raise Invalid(what, f'"{text}" is not a whole number' if text.strip() else "is missing")
    return int(digits)


class NewCoupon(Form["Coupon"]):
    """Creates a coupon."""

    def __init__(self, dependencies: Dependencies) -> None:
        fields = (Field("name", "Name"), Field("amount", "Units on sale"))
        super().__init__("New coupon", fields, action="Create")
        self._dependencies = dependencies

    async def act(self, values: Mapping[str, str]) -> Coupon:
        name, amount = values["name"], whole_number("amount", values["amount"])
        coupon = await self._dependencies.client.create(name, amount)
        self._dependencies.events.add(
            f"{name}: {amount:,} units on sale",
            command=("create", *operands(name, str(amount))),
            tone=Tone.GOOD,
        )
        return coupon


class ClaimCoupon(Form["Attempt"]):
    """Claims a coupon for a user."""

    def __init__(self, dependencies: Dependencies, coupon: str) -> None:
        fields = (Field("coupon", "Coupon", coupon), Field("user", "User id"))
        super().__init__("Claim", fields, action="Claim")
        self._dependencies = dependencies

    async def act(self, values: Mapping[str, str]) -> Attempt:
        coupon, user = values["coupon"], values["user"]
        attempt = await self._dependencies.client.claim(coupon, user)
        words = f"{user} has claimed {coupon}" if attempt.refusal is None else attempt.refusal.message
        tone = Tone.GOOD if attempt.refusal is None else Tone.WARN
        self._dependencies.events.add(words, command=("claim", *operands(coupon, user)), tone=tone)
        if attempt.refusal is not None:
            raise attempt.refusal
        return attempt
