"""What a drill is: a name, a promise, parameters with defaults, and an attack that returns checks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

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
    """Nothing was measured, or the final read of the ledger never happened. Never green."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the operator may set, as forms and command lines show it."""

    name: str
    kind: type[int] | type[float]
    default: float | None
    """None where it follows from the others."""
    meaning: str
    at_least: float
    at_most: float
    """What one process can hold: a task and a journal entry for each user."""


def parameter(default: float | None, meaning: str, *, at_least: float = 1, at_most: float = 100_000) -> Any:
    """A field of a drill's parameters."""
    bounds = {"at_least": at_least, "at_most": at_most}
    return field(default=default, metadata={"default": default, "meaning": meaning, **bounds})


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What every drill can be given; each drill adds its own."""

    pool_size: int = parameter(None, "connections in the drill's pool; default as in the settings")
    timeout: float = parameter(30.0, "seconds after which the drill is aborted and fails", at_least=0.1)

    def _derive(self, **values: float) -> None:
        """Fill in the fields that were not given and follow from others."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    @classmethod
    def described(cls) -> tuple[Parameter, ...]:
        """Those of the drill itself first, then those that every drill has."""
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
        """The same with the pool size of the settings, unless one was given."""
        return self if self.pool_size is not None else replace(self, pool_size=limits.pool_size)

    def limits(self, limits: Limits) -> Limits:
        """The limits of the pool under attack, made from those of the settings."""
        return replace(limits, pool_size=self.pool_size, acquire_timeout=self.timeout)


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Drill(Generic[P]):
    """An attack on the claim path and what must hold while it lasts."""

    name: str
    title: str
    promise: str
    blast_radius: str
    """What the attack touches beyond its own schema."""
    parameters: type[P]
    attack: Callable[[DrillContext, P], Awaitable[list[Check]]]
    faults: tuple[str, ...] = ()
    """What it breaks on purpose; a report says how often each took effect."""
    pools: int = 1
    """How many pools of `pool_size` connections are open at once."""


def connections_of(drill: Drill[Any], parameters: Parameters) -> int:
    """The most connections that a run has open at once."""
    return drill.pools * parameters.pool_size + ADMIN + OBSERVER
