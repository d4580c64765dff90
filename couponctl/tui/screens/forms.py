"""Modal forms: fields, the service's own sentence where it refuses, and nothing typed is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from couponctl.errors import CouponctlError, Invalid
from couponctl.tui.events import operands
from couponctl.tui.text import Tone, literal
from couponctl.tui.widgets.line import Line
from couponctl.tui.widgets.pane import Figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from couponctl.models import Coupon
    from couponctl.service import Attempt
    from couponctl.tui.desk import Desk

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    label: str
    initial: str = ""
    hint: str = ""


class Form(ModalScreen[T | None], Generic[T]):
    """Collects values and acts on them; closes only when that worked, or on escape."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "give_up", "Cancel")]
    AUTO_FOCUS = None

    def __init__(self, title: str, fields: Sequence[Field], *, action: str) -> None:
        super().__init__()
        self._title = title
        self._fields = tuple(fields)
        self._action = action

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = literal(self._title)
            with VerticalScroll(classes="fields", can_focus=False):
                for field in self._fields:
                    yield Static(literal(field.label), classes="label")
                    yield Line(field.initial, id=f"field-{field.name}")
                    if field.hint:
                        yield Static(literal(field.hint, Tone.DIM), classes="hint")
            yield Figures(id="problem")
            with Horizontal(classes="buttons"):
                yield Button(self._action, id="submit", variant="primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        first_empty = next((f for f in self._fields if not f.initial), self._fields[0])
        self.query_one(f"#field-{first_empty.name}", Input).focus()

    async def act(self, values: Mapping[str, str]) -> T:
        """Do what the form is for. Raises CouponctlError, whose sentence the form then shows."""
        raise NotImplementedError

    @on(Input.Submitted)
    @on(Button.Pressed, "#submit")
    def submit(self) -> None:
        self.run_worker(self._submit(), exclusive=True, exit_on_error=False)

    @on(Button.Pressed, "#cancel")
    def action_give_up(self) -> None:
        self.dismiss(None)

    async def _submit(self) -> None:
        problem = self.query_one("#problem", Figures)
        problem.show(literal("…", Tone.DIM))
        values = {f.name: self.query_one(f"#field-{f.name}", Input).value for f in self._fields}
        try:
            result = await self.act(values)
        except CouponctlError as error:
            problem.show(literal(str(error), Tone.BAD))
        except Exception as error:  # noqa: BLE001 - a form shows what went wrong; it does not end the console
            problem.show(literal(f"Unexpected: {type(error).__name__}.", Tone.BAD))
        else:
            self.dismiss(result)


def whole_number(what: str, text: str) -> int:
    """Raises Invalid."""
    digits = text.strip().replace(",", "").replace("_", "")
    if not digits.removeprefix("-").isdecimal() or len(digits) > 20:
        raise Invalid(what, f'"{text}" is not a whole number' if text.strip() else "is missing")
    return int(digits)


class NewCoupon(Form["Coupon"]):
    """Creates a coupon."""

    def __init__(self, desk: Desk) -> None:
        fields = (Field("name", "Name"), Field("amount", "Units on sale"))
        super().__init__("New coupon", fields, action="Create")
        self._desk = desk

    async def act(self, values: Mapping[str, str]) -> Coupon:
        name, amount = values["name"], whole_number("amount", values["amount"])
        coupon = await self._desk.sale.create(name, amount)
        self._desk.events.add(
            f"{name}: {amount:,} units on sale",
            command=("create", *operands(name, str(amount))),
            tone=Tone.GOOD,
        )
        return coupon


class ClaimCoupon(Form["Attempt"]):
    """Claims a coupon for a user."""

    def __init__(self, desk: Desk, coupon: str) -> None:
        fields = (Field("coupon", "Coupon", coupon), Field("user", "User id"))
        super().__init__("Claim", fields, action="Claim")
        self._desk = desk

    async def act(self, values: Mapping[str, str]) -> Attempt:
        coupon, user = values["coupon"], values["user"]
        attempt = await self._desk.sale.claim(coupon, user)
        words = f"{user} has claimed {coupon}" if attempt.refusal is None else attempt.refusal.message
        tone = Tone.GOOD if attempt.refusal is None else Tone.WARN
        self._desk.events.add(words, command=("claim", *operands(coupon, user)), tone=tone)
        if attempt.refusal is not None:
            raise attempt.refusal
        return attempt
