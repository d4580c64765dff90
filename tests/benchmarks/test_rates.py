"""Claims beside pgbench and beside the limit, in turns on one server; ratios, never rates, are held."""

from __future__ import annotations

import asyncio
import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.bench.closed import Closed
from couponctl.bench.ground import ground
from couponctl.bench.load import closed_load
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.progress import Progress
from couponctl.drills.sale import SCALE
from couponctl.libpq import server_at
from couponctl.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg

    from couponctl.bench.ground import Ground
    from couponctl.libpq import Server
    from couponctl.service import CouponService
    from tests.clones import Clones

pytestmark = pytest.mark.benchmark

ROUNDS = 5
SECONDS = 1.2
"""Of one measurement."""
BATCH = 500
"""Users of one INSERT of the limit."""
STORMS = 5
"""In each round."""


@pytest.fixture
async def place(server: Server) -> AsyncIterator[Ground]:
    async with ground(server, Limits(), 50, Progress()) as place:
        yield place


@pytest.fixture(scope="module")
def rows(clones: Clones) -> Iterator[dict[tuple[str, int], dict[str, Any]]]:
    """What `couponctl bench` measures, by strategy and claims in flight."""
    course = Closed(("statement", "batched"), (50, 500), (1,), SECONDS, ROUNDS, pgbench=True)

    async def measured(url: str) -> list[dict[str, Any]]:
        server = server_at(url, source="the benchmark")
        async with ground(server, Limits(), course.clients, Progress()) as place:
            result = await course.run(place, lambda _: None)
        print("", *result.lines(), sep="\n")  # noqa: T201
        found: list[dict[str, Any]] = result.document["rows"]
        return found

    with clones.database() as url:
        yield {(row["subject"], row["in_flight"]): row for row in asyncio.run(measured(url))}


@pytest.mark.parametrize(
    ("strategy", "in_flight", "at_least"), [("statement", 50, 1.6), ("batched", 50, 20), ("batched", 500, 45)]
)
def test_times_the_rate_of_pgbench(
    rows: dict[tuple[str, int], dict[str, Any]], strategy: str, in_flight: int, at_least: float
) -> None:
    assert rows[strategy, in_flight]["vs_pgbench"] >= at_least


async def test_batches_come_close_to_the_limit(place: Ground) -> None:
    """The limit: one connection of the same pool inserts 500 users a statement, and takes no stock."""
    ratios = []
    for turn in range(ROUNDS):
        (coupon,) = await place.lay_out(1)
        async with place.service("batched") as service:
            await closed_load(service, [coupon], 500, 0.3, users="warm")
            claims = (await closed_load(service, [coupon], 500, SECONDS, users="user")).claims_per_s
            limit = await _inserts_per_s(service, place.schema, coupon)
        ratios.append(claims / limit)
        print(f"\nbatched {claims:,.0f}/s, limit {limit:,.0f}/s, ratio {ratios[turn]:.2f}", end="")  # noqa: T201
    print(f"\nmedian {statistics.median(ratios):.2f}")  # noqa: T201
    assert statistics.median(ratios) >= 0.7


async def _inserts_per_s(service: CouponService, schema: str, coupon: str) -> float:
    sql = f"INSERT INTO {schema}.claims (coupon_name, user_id) SELECT $1, u FROM unnest($2::text[]) u"  # noqa: S608
    async with service.database.direct() as direct:
        connection: asyncpg.Connection = direct.fairy.driver_connection
        inserted, began = 0, perf_counter()
        while perf_counter() < began + SECONDS:
            await connection.execute(sql, coupon, [f"raw-{inserted + n}" for n in range(BATCH)])
            inserted += BATCH
        return inserted / (perf_counter() - began)


async def test_the_storm_takes_a_fifth_of_the_time_of_pgbench(place: Ground, server: Server) -> None:
    """500 users on 50 units, through the drill engine with its journal; pgbench makes 500 claims."""
    ratios = []
    for _ in range(ROUNDS):
        await place.lay_out(1)
        yardstick = 500 / (await place.pgbench.run(coupons=1, seconds=SECONDS, warm_up=0.3)).claims_per_s
        phases = []
        for _ in range(STORMS):
            report = await run_drill(SCALE, Target(server, Limits()), SCALE.parameters(n=500, stock=50))
            assert report.verdict is Verdict.PASS
            phases.append(report.claim_phase)
        ratios.append(statistics.median(phases) / yardstick)
        print(  # noqa: T201
            f"\nstorm {statistics.median(phases) * 1000:.0f} ms, pgbench {yardstick * 1000:.0f} ms, "
            f"ratio {ratios[-1]:.2f}",
            end="",
        )
    print(f"\nmedian {statistics.median(ratios):.2f}")  # noqa: T201
    assert statistics.median(ratios) <= 0.20
