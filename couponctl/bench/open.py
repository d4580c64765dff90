"""The open bench: users arrive at a rate, whether or not those before them have an answer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from couponctl.bench.load import closed_load, open_load
from couponctl.bench.result import Result
from couponctl.bench.sandbox import WARM_UP
from couponctl.present import counted, milliseconds
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from couponctl.bench.load import Arrivals, Load
    from couponctl.bench.sandbox import BenchSandbox

_WARM_UP_IN_FLIGHT = 10

_COLUMNS = texts("STRATEGY") + numbers(
    "COUPONS", "USERS/S", "CLAIMS/S", "P50", "P99", "LATE", "DROPPED", "FAILED"
)


@dataclass(frozen=True, slots=True)
class OpenRow:
    """The result of the load for one strategy and number of coupons."""

    subject: str
    coupons: int
    arrivals: Arrivals

    def as_json(self) -> dict[str, Any]:
        timed = self.arrivals.timed
        return {
            "subject": self.subject,
            "coupons": self.coupons,
            "came_per_s": round(self.arrivals.came_per_s, 1),
            "claims_per_s": round(timed.claims_per_s, 1),
            "p50_ms": round(timed.p50_ms, 3),
            "p99_ms": round(timed.p99_ms, 3),
            "late": self.arrivals.late,
            "dropped": self.arrivals.dropped,
            "failed": timed.failed,
            "rate_reached": self.arrivals.reached,
        }

    def cells(self) -> tuple[str, ...]:
        """The cells for _COLUMNS."""
        timed = self.arrivals.timed
        return (
            self.subject,
            f"{self.coupons:,}",
            f"{self.arrivals.came_per_s:,.0f}",
            f"{timed.claims_per_s:,.0f}",
            milliseconds(timed.p50_ms),
            milliseconds(timed.p99_ms),
            f"{self.arrivals.late:,}",
            f"{self.arrivals.dropped:,}",
            f"{timed.failed:,}",
        )

    @property
    def warning(self) -> str:
        """Empty if the rate was reached."""
        if self.arrivals.reached:
            return ""
        rate, came = self.arrivals.timed.claims_per_s, self.arrivals.came_per_s
        on = counted(self.coupons, "coupon")
        return f"{self.subject} on {on}: RATE NOT REACHED: {rate:,.0f} claims/s for {came:,.0f} users/s"


@dataclass(frozen=True, slots=True)
class Open:
    """Every strategy under the same arrivals, for each number of coupons."""

    strategies: tuple[str, ...]
    coupons: tuple[int, ...]
    load: Load

    clients = 0
    """No baseline: pgbench waits for its answers."""

    @property
    def words(self) -> str:
        return f"claim for {self.load.rate:,.0f} users per second, as far as the server can"

    @property
    def duration(self) -> float:
        """Minimum duration in seconds."""
        return len(self.strategies) * len(self.coupons) * (self.load.seconds + WARM_UP)

    async def run(self, bench_sandbox: BenchSandbox, told: Callable[[str], None]) -> Result:
        """Measure the strategies in turn; `told` gets each result. Raises LedgerBroken at a wrong claim."""
        told(f"seed {self.load.seed}")
        rows = []
        for coupons in self.coupons:
            for strategy in self.strategies:
                rows.append(
                    OpenRow(strategy, coupons, await self._measured(bench_sandbox, strategy, coupons))
                )
                told(f"{strategy}: {rows[-1].arrivals.timed.claims_per_s:,.0f} claims/s")
        return self._result(rows)

    async def _measured(self, bench_sandbox: BenchSandbox, strategy: str, coupons: int) -> Arrivals:
        names = await bench_sandbox.create_coupons(coupons)
        async with bench_sandbox.service(strategy) as service:
            before = await closed_load(service, names, _WARM_UP_IN_FLIGHT, WARM_UP, users="warm")
            found = await open_load(service, names, self.load, users="user")
        await bench_sandbox.hold_against_ledger(strategy, before, found.timed)
        return found

    def _result(self, rows: Sequence[OpenRow]) -> Result:
        return Result(
            Table(_COLUMNS, [row.cells() for row in rows]),
            {**asdict(self.load), "rows": [row.as_json() for row in rows]},
            tuple(row.warning for row in rows if row.warning),
        )
