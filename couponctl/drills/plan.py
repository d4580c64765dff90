"""Plans of drills: what they need and affect, before anything is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from couponctl.drills.reports.report import SCHEMA_VERSION
from couponctl.drills.reports.text import UNLOGGED, plan_lines
from couponctl.present import safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.drills.drill import DrillSpec
    from couponctl.sandbox.preflight import Preflight


@dataclass(frozen=True, slots=True)
class Plan:
    """Drills to be run one after the other."""

    specs: tuple[DrillSpec[Any], ...]
    unlogged: bool = False

    @property
    def connections(self) -> int:
        """The maximum number of connections that are open at once."""
        return max(spec.connections for spec in self.specs)

    def lines(self) -> Iterator[str]:
        """Describe what a run does to the server."""
        for spec in self.specs:
            yield from plan_lines(spec)
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
            "plans": [self._document(spec) for spec in self.specs],
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

    def _document(self, spec: DrillSpec[Any]) -> dict[str, Any]:
        return {
            "drill": spec.drill.name,
            "params": asdict(spec.parameters),
            "seed": spec.seed,
            "strategy": spec.strategy.name,
            "unlogged": self.unlogged,
            "schema": "couponctl_drill_…",
            "connections": spec.connections,
            "timeout_s": spec.parameters.timeout,
            "faults": list(spec.drill.faults),
            "blast_radius": spec.drill.blast_radius,
        }
