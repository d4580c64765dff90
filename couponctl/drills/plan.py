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
    from couponctl.sandbox.preflight import Preflight


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

    def dry_run_lines(self, preflight: Preflight | None, consent: str) -> Iterator[str]:
        """Describe the run, and whether it could begin; `preflight` is None if no server runs yet."""
        yield "dry run: nothing is created, claimed or broken; a real run would"
        yield from (f"  {line}" for line in self.lines())
        if preflight is None:
            yield "the private server is not running; it would be started, and was not checked"
        else:
            room = preflight.facts.narrowest
            yield (
                f"{safe(preflight.where)}: {preflight.free} of {room.limit} connections are free "
                f"({room.limited_by}), {self.connections} are needed"
            )
        if consent:
            yield f"this server requires {consent}"

    def as_json(self, preflight: Preflight | None, consent: str) -> dict[str, Any]:
        """Return the documented JSON of a dry run."""
        return {
            "schema": SCHEMA_VERSION,
            "dry_run": True,
            "plans": [self._document(drill, parameters) for drill, parameters in self.drills],
            "connections": self.connections,
            "server": preflight and preflight.as_json(),
            "room": preflight
            and {
                "free": preflight.free,
                "limit": preflight.facts.narrowest.limit,
                "limited_by": preflight.facts.narrowest.limited_by,
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
