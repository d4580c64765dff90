"""Plans of drills: what they need and affect, before anything is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from couponctl.drills.drill import connections_of
from couponctl.drills.reports.report import SCHEMA_VERSION
from couponctl.drills.reports.text import UNLOGGED, plan_lines
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.drills.drill import Drill, Parameters
    from couponctl.postgres.limits import Limits
    from couponctl.sandbox.preflight import Premises


@dataclass(frozen=True, slots=True)
class Plan:
    """Drills with their parameters, to be run one after the other."""

    drills: tuple[tuple[Drill[Any], Parameters], ...]
    strategy: str
    seed: int | None
    """None if each run draws its own."""
    unlogged: bool = False

    def on_pool(self, limits: Limits) -> Plan:
        """Return a copy with the pool size of the settings, where none was given."""
        drills = tuple((drill, parameters.on_pool(limits)) for drill, parameters in self.drills)
        return replace(self, drills=drills)

    @property
    def connections(self) -> int:
        """The maximum number of connections that are open at once."""
        return max(connections_of(drill, parameters) for drill, parameters in self.drills)

    def lines(self) -> Iterator[str]:
        """Describe what a run does to the server."""
        for drill, parameters in self.drills:
            yield from plan_lines(drill, parameters)
        if self.unlogged:
            yield UNLOGGED

    def dry_run_lines(self, premises: Premises | None, consent: str) -> Iterator[str]:
        """Describe the run, and whether it could begin; `premises` is None if no server runs yet."""
        yield "dry run: nothing is created, claimed or broken; a real run would"
        yield from (f"  {line}" for line in self.lines())
        if premises is None:
            yield "the private server is not running; it would be started, and was not checked"
        else:
            room = premises.facts.narrowest
            yield (
                f"{safe(premises.where)}: {premises.free} of {room.limit} connections are free "
                f"({room.limited_by}), {self.connections} are needed"
            )
        if consent:
            yield f"this server requires {consent}"

    def as_json(self, premises: Premises | None, consent: str) -> dict[str, Any]:
        """Return the documented JSON of a dry run."""
        return {
            "schema": SCHEMA_VERSION,
            "dry_run": True,
            "plans": [self._document(drill, parameters) for drill, parameters in self.drills],
            "connections": self.connections,
            "server": premises and premises.as_json(),
            "room": premises
            and {
                "free": premises.free,
                "limit": premises.facts.narrowest.limit,
                "limited_by": premises.facts.narrowest.limited_by,
            },
            "consent": consent or None,
        }

    def _document(self, drill: Drill[Any], parameters: Parameters) -> dict[str, Any]:
        return {
            "drill": drill.name,
            "params": asdict(parameters),
            "seed": self.seed,
            "strategy": self.strategy,
            "unlogged": self.unlogged,
            "schema": "couponctl_drill_…",
            "connections": connections_of(drill, parameters),
            "timeout_s": parameters.timeout,
            "faults": list(drill.faults),
            "blast_radius": drill.blast_radius,
        }
