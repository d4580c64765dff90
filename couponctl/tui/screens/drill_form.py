"""The form for a drill's parameters, made from the drill's own definitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.widgets import Button

from couponctl.errors import Invalid
from couponctl.ledger.claims import STRATEGIES, find_strategy
from couponctl.tui.screens.forms import Field, Form, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.binding import BindingType

    from couponctl.drills.drill import Drill, DrillSpec, Parameter
    from couponctl.postgres.limits import Limits

STRATEGY = "strategy"
SEED = "seed"


@dataclass(frozen=True, slots=True)
class Draft:
    """A drill as the operator has filled in its form."""

    drill: Drill[Any]
    given: Mapping[str, float] = field(default_factory=dict)
    """Parameters; missing ones have their defaults, or follow from the others."""
    strategy: str = STRATEGIES[0].name
    seed: int | None = None
    """None to draw one."""

    def spec(self, limits: Limits) -> DrillSpec[Any]:
        """Return the drill to be run."""
        return self.drill.spec(limits, self.given, strategy=find_strategy(self.strategy), seed=self.seed)

    @property
    def command(self) -> tuple[str, ...]:
        """The equivalent command line, without defaults."""
        words = ["drill", self.drill.name]
        for each in self.drill.parameters.described():
            if each.name in self.given and self.given[each.name] != each.default:
                words += [f"--{each.name.replace('_', '-')}", _digits(self.given[each.name])]
        if self.strategy != STRATEGIES[0].name:
            words += ["--strategy", self.strategy]
        if self.seed is not None:
            words += ["--seed", str(self.seed)]
        return tuple(words)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the operator decided about a draft."""

    draft: Draft
    run: bool
    """Run it at once; otherwise it is kept for later."""


class DrillForm(Form[Decision]):
    """Edits a draft; empty fields take their defaults. Enter only keeps it: no drill starts by that key."""

    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+r", "run", "Run")]

    def __init__(self, draft: Draft, prefilled: Mapping[str, float] | None = None) -> None:
        """`prefilled` holds parameters from where the form was opened, such as a coupon's stock."""
        self._drill = draft.drill
        names = " or ".join(strategy.name for strategy in STRATEGIES)
        fields = [_field(each, draft, prefilled or {}) for each in self._drill.parameters.described()]
        fields.append(Field(STRATEGY, "strategy", draft.strategy, f"how claims are made: {names}"))
        seed = "" if draft.seed is None else str(draft.seed)
        hint = "repeats the random choices of a run; drawn unless given"
        fields.append(Field(SEED, "seed", seed, hint, optional=True))
        super().__init__(f"{self._drill.name}: {self._drill.title}", fields, action="Keep")
        self._run = False

    def buttons(self) -> Iterable[Button]:
        keep, *others = super().buttons()
        yield from (keep, Button("Run (^r)", id="run-now", compact=True), *others)

    @on(Button.Pressed, "#run-now")
    def action_run(self) -> None:
        self._run = True
        self.submit()

    async def act(self, values: Mapping[str, str]) -> Decision:
        run, self._run = self._run, False
        return Decision(self._draft(values), run)

    def _draft(self, values: Mapping[str, str]) -> Draft:
        """Make a draft of the values. Raises Invalid."""
        given = {
            each.name: _number(each, values[each.name])
            for each in self._drill.parameters.described()
            if values[each.name].strip()
        }
        strategy = values[STRATEGY].strip()
        if strategy not in {each.name for each in STRATEGIES}:
            raise Invalid(STRATEGY, f'there is no strategy "{strategy}"')
        seed = whole_number(SEED, values[SEED]) if values[SEED].strip() else None
        if seed is not None and seed < 0:
            raise Invalid(SEED, "is less than 0")
        return Draft(self._drill, given, strategy, seed)


def _field(parameter: Parameter, draft: Draft, prefilled: Mapping[str, float]) -> Field:
    value = {parameter.name: parameter.default, **draft.given, **prefilled}[parameter.name]
    initial = "" if value is None else _digits(value)
    bounds = f"{parameter.at_least:,g} to {parameter.at_most:,g}"
    hint = f"{parameter.meaning}; {bounds}"
    return Field(parameter.name, parameter.label, initial, hint, optional=True)


def _digits(value: float) -> str:
    """Return all digits: the same number must be read back."""
    return str(value).removesuffix(".0")


def _number(parameter: Parameter, text: str) -> float:
    name = parameter.label
    value: float
    if parameter.kind is int:
        value = whole_number(name, text)
    else:
        try:
            value = float(text)
        except ValueError:
            raise Invalid(name, f'"{text}" is not a number') from None
    if not isfinite(value) or not parameter.at_least <= value <= parameter.at_most:
        raise Invalid(name, f"must be from {parameter.at_least:,g} to {parameter.at_most:,g}")
    return value
