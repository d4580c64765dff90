"""What a drill is: a name, an expectation, parameters with defaults, and an attack that returns checks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from couponctl.models import label
from couponctl.sandbox.preflight import ADMIN, OBSERVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from couponctl.drills.check import Check
    from couponctl.drills.context import DrillContext
    from couponctl.postgres.limits import Limits


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Nothing can be concluded: no claim, no effect of a fault, no full read of the ledger. Never green."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the operator may set, as forms and command lines show it."""

    name: str
    kind: type[int] | type[float]
    default: float | None
    """None if it follows from the other parameters."""
    meaning: str
    at_least: float
    at_most: float
    """What one process can hold: a task and a journal entry per user."""

    @property
    def label(self) -> str:
        return label(self.name)


def parameter(default: float | None, meaning: str, *, at_least: float = 1, at_most: float = 100_000) -> Any:
    """Declare a field of a drill's parameters."""
    bounds = {"at_least": at_least, "at_most": at_most}
    return field(default=default, metadata={"default": default, "meaning": meaning, **bounds})


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of every drill; each drill adds its own."""

    pool_size: int = parameter(None, "connections in the drill's pool; default as in the settings")
    timeout: float = parameter(30.0, "seconds after which the drill is aborted and fails", at_least=0.1)

    def _derive(self, **values: float) -> None:
        """Set the fields that were not given and follow from others."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @classmethod
    def described(cls) -> tuple[Parameter, ...]:
        """Return the drill's own parameters first, then those of every drill."""
        common = {each.name for each in fields(Parameters)}
        return tuple(
            Parameter(
                name=each.name,
                kind=float if each.type == "float" else int,
                default=each.metadata["default"],
                meaning=each.metadata["meaning"],
                at_least=each.metadata["at_least"],
                at_most=each.metadata["at_most"],
            )
            for each in sorted(fields(cls), key=lambda each: each.name in common)
        )

    def on_pool(self, limits: Limits) -> Self:
        """Return a copy with the pool size of the settings, unless one was given."""
        return self if self.pool_size is not None else replace(self, pool_size=limits.pool_size)

    def limits(self, limits: Limits) -> Limits:
        """Return the limits of the pool under attack, derived from those of the settings."""
        return replace(limits, pool_size=self.pool_size, acquire_timeout=self.timeout)


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Drill(Generic[P]):
    """An attack on the claim path, and what must hold during it."""

    name: str
    title: str
    promise: str
    blast_radius: str
    """What the attack affects beyond its own schema."""
    parameters: type[P]
    attack: Callable[[DrillContext, P], Awaitable[list[Check]]]
    faults: tuple[str, ...] = ()
    """What it breaks on purpose; a report says how often each fault took effect."""
    pools: int = 1
    """Number of pools of `pool_size` connections that are open at once."""


def connections_of(drill: Drill[Any], parameters: Parameters) -> int:
    """Return the maximum number of connections that a run has open at once."""
    return drill.pools * parameters.pool_size + ADMIN + OBSERVER
