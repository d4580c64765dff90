"""What a drill is, with an expectation, parameters and an attack that returns checks; and one to be run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, get_type_hints

from couponctl.ledger.claims import STATEMENT
from couponctl.models import label
from couponctl.sandbox.preflight import ADMIN, OBSERVER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from couponctl.drills.check import Check
    from couponctl.drills.context import DrillContext
    from couponctl.ledger.claims import Strategy
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
    """Declare a field of a drill's parameters; without a default it is required, or derived from others."""
    metadata = {"default": default, "meaning": meaning, "at_least": at_least, "at_most": at_most}
    return field(metadata=metadata) if default is None else field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of every drill; each drill adds its own."""

    pool_size: int = parameter(None, "connections in the drill's pool; default as in the settings")
    timeout: float = parameter(30.0, "seconds after which the drill is aborted and fails", at_least=0.1)

    @classmethod
    def resolved(cls, given: Mapping[str, float], limits: Limits) -> Self:
        """Return the parameters; those not given have defaults, or follow from others and the settings."""
        pool_size = getattr(cls, "pool_size", limits.pool_size)  # a drill may have a default of its own
        values: dict[str, Any] = {"pool_size": pool_size, **cls._derived(given), **given}
        return cls(**values)

    @classmethod
    def _derived(cls, given: Mapping[str, float]) -> dict[str, float]:  # noqa: ARG003 - for drills that use it
        """Return the parameters that follow from those given."""
        return {}

    @classmethod
    def described(cls) -> tuple[Parameter, ...]:
        """Return the drill's own parameters first, then those of every drill."""
        common = {each.name for each in fields(Parameters)}
        kinds = get_type_hints(cls)
        return tuple(
            Parameter(
                name=each.name,
                kind=kinds[each.name],
                default=each.metadata["default"],
                meaning=each.metadata["meaning"],
                at_least=each.metadata["at_least"],
                at_most=each.metadata["at_most"],
            )
            for each in sorted(fields(cls), key=lambda each: each.name in common)
        )

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

    def spec(
        self,
        limits: Limits,
        given: Mapping[str, float] | None = None,
        *,
        strategy: Strategy = STATEMENT,
        seed: int | None = None,
    ) -> DrillSpec[P]:
        """Return this drill with the parameters `given`, ready to be run with the limits of the settings."""
        return DrillSpec(self, self.parameters.resolved(given or {}, limits), strategy, seed)


@dataclass(frozen=True, slots=True)
class DrillSpec(Generic[P]):
    """A drill to be run."""

    drill: Drill[P]
    parameters: P
    strategy: Strategy = STATEMENT
    seed: int | None = None
    """None if the run draws one."""

    @property
    def connections(self) -> int:
        """The maximum number of connections that the run has open at once."""
        return self.drill.pools * self.parameters.pool_size + ADMIN + OBSERVER
