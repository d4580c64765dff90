"""The closed bench: every strategy as fast as it goes, with pgbench beside it in every round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.bench.load import closed_load
from couponctl.bench.pgbench import CLIENTS
from couponctl.bench.rows import PGBENCH, Cell, Measurement, result_of, summed_up
from couponctl.bench.sandbox import WARM_UP

if TYPE_CHECKING:
    from collections.abc import Callable

    from couponctl.bench.result import Result
    from couponctl.bench.sandbox import BenchSandbox
    from couponctl.bench.timed import Timed


@dataclass(frozen=True, slots=True)
class Closed:
    """Every strategy at each number of claims in flight and of coupons."""

    strategies: tuple[str, ...]
    in_flight: tuple[int, ...]
    coupons: tuple[int, ...]
    seconds: float
    """Duration of one measurement."""
    rounds: int
    pgbench: bool

    words = "claim as fast as the server can, which loads it fully"

    @property
    def clients(self) -> int:
        """Connections of the baseline."""
        return CLIENTS if self.pgbench else 0

    @property
    def duration(self) -> float:
        """Minimum duration in seconds."""
        return self.rounds * len(self.cells()) * (self.seconds + WARM_UP)

    def cells(self) -> list[Cell]:
        """Return the cells of a round in their order; each number of coupons begins with its baseline."""
        cells = []
        for coupons in self.coupons:
            if self.pgbench:
                cells.append(Cell(PGBENCH, CLIENTS, coupons))
            cells += [Cell(name, number, coupons) for name in self.strategies for number in self.in_flight]
        return cells

    async def run(self, bench_sandbox: BenchSandbox, told: Callable[[str], None]) -> Result:
        """Measure every cell once a round; `told` gets each result. Raises LedgerBroken at a wrong claim."""
        measurements: list[Measurement] = []
        for _ in range(self.rounds):
            baseline: float | None = None
            for cell in self.cells():
                timed = await self._measured(bench_sandbox, cell)
                if cell.subject == PGBENCH:
                    baseline = timed.claims_per_s
                measurements.append(Measurement(cell, timed, baseline))
                told(f"{cell.words}: {timed.claims_per_s:,.0f} claims/s")
        return result_of(summed_up(measurements))

    async def _measured(self, bench_sandbox: BenchSandbox, cell: Cell) -> Timed:
        names = await bench_sandbox.create_coupons(cell.coupons)
        if cell.subject == PGBENCH:
            timed = await bench_sandbox.pgbench.run(
                coupons=cell.coupons, seconds=self.seconds, warm_up=WARM_UP
            )
            await bench_sandbox.hold_against_ledger(PGBENCH, timed)
            return timed
        async with bench_sandbox.service(cell.subject) as service:
            before = await closed_load(service, names, cell.in_flight, WARM_UP, users="warm")
            timed = await closed_load(service, names, cell.in_flight, self.seconds, users="user")
        await bench_sandbox.hold_against_ledger(cell.subject, before, timed)
        return timed
