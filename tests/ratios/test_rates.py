"""Claims beside pgbench and beside the limit, in turns on one server; ratios, never rates, are held."""

from __future__ import annotations

import json
import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.bench.pgbench import CLIENTS
from couponctl.bench.sandbox import bench_sandbox
from couponctl.postgres.limits import Limits
from couponctl.sandbox.schema import OnServer
from tests.ratios.programs import COUPONCTL, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from couponctl.bench.sandbox import BenchSandbox
    from couponctl.postgres.libpq import Server
    from tests.support.clones import Clones

pytestmark = pytest.mark.benchmark

ROUNDS = 7
SECONDS = 1.5
"""Duration of one measurement."""
BATCH = 500
"""Users of one INSERT of the limit."""
STORMS = 5
"""In each round."""


def bench(url: str, *options: str) -> list[dict[str, Any]]:
    """The rows of `couponctl bench`, from a process of its own, as an operator has it."""
    command = (*COUPONCTL, "bench", "--json", "--yes", "--seconds", str(SECONDS), *options)
    rows: list[dict[str, Any]] = json.loads(run(*command, environment={"COUPONCTL_URL": url}).out)["rows"]
    return rows


@pytest.fixture
async def place(server: Server) -> AsyncIterator[BenchSandbox]:
    async with bench_sandbox(server, Limits(), CLIENTS, OnServer()) as place:
        yield place


@pytest.fixture(scope="module")
def rows(clones: Clones) -> dict[tuple[str, int], dict[str, Any]]:
    """By strategy and claims in flight."""
    asked = ("--strategy", "statement", "--strategy", "batched", "--in-flight", "50,500")
    with clones.database() as url:
        rows = bench(url, *asked, "--rounds", str(ROUNDS))
    told = [f"{row['subject']} {row['in_flight']}: {row['vs_pgbench']} × pgbench" for row in rows]
    print("", *told, sep="\n")  # noqa: T201
    return {(row["subject"], row["in_flight"]): row for row in rows}


@pytest.mark.parametrize(
    ("strategy", "in_flight", "at_least"), [("statement", 50, 1.6), ("batched", 50, 20), ("batched", 500, 45)]
)
def test_times_the_rate_of_pgbench(
    rows: dict[tuple[str, int], dict[str, Any]], strategy: str, in_flight: int, at_least: float
) -> None:
    assert rows[strategy, in_flight]["vs_pgbench"] >= at_least


async def test_batches_come_close_to_the_limit(place: BenchSandbox, database_url: str) -> None:
    """The limit: one connection of the same pool inserts 500 users a statement, and takes no stock.

    They are the users of the bench, in its order: keys that come sorted go into the index by a sixth faster.
    """
    ratios = []
    for _ in range(ROUNDS):
        limit = await _inserts_per_s(place)
        (row,) = bench(
            database_url, *("--strategy", "batched", "--in-flight", "500"), *("--rounds", "1", "--no-pgbench")
        )
        claims = row["claims_per_s"]
        ratios.append(claims / limit)
        print(f"\nbatched {claims:,.0f}/s, limit {limit:,.0f}/s, ratio {ratios[-1]:.2f}", end="")  # noqa: T201
    print(f"\nmedian {statistics.median(ratios):.2f}")  # noqa: T201
    assert statistics.median(ratios) >= 0.7


async def _inserts_per_s(place: BenchSandbox) -> float:
    (coupon,) = await place.create_coupons(1)
    sql = f"INSERT INTO {place.schema}.claims (coupon_name, user_id) SELECT $1, u FROM unnest($2::text[]) u"  # noqa: S608
    async with place.service("batched") as service, service.database.autocommit() as direct:
        connection: asyncpg.Connection = direct.fairy.driver_connection
        turn, began = 0, perf_counter()
        while perf_counter() < began + SECONDS:
            turn += 1
            await connection.execute(sql, coupon, [f"user-{number}-{turn}" for number in range(BATCH)])
        return turn * BATCH / (perf_counter() - began)


async def test_the_storm_takes_a_fifth_of_the_time_of_pgbench(place: BenchSandbox, database_url: str) -> None:
    """500 users on 50 units, through the drill engine with its journal; pgbench makes 500 claims."""
    drill = (*COUPONCTL, "drill", "scale", "--n", "500", "--stock", "50", "--json", "--yes")
    there = {"COUPONCTL_URL": database_url}
    ratios = []
    for _ in range(ROUNDS):
        await place.create_coupons(1)
        timed = await place.pgbench.run(coupons=1, seconds=SECONDS, warm_up=0.3)
        baseline = 500_000 / timed.claims_per_s
        phases = [json.loads(run(*drill, environment=there).out)["claim_phase_ms"] for _ in range(STORMS)]
        storm = statistics.median(phases)
        ratios.append(storm / baseline)
        print(f"\nstorm {storm:.0f} ms, pgbench {baseline:.0f} ms, ratio {ratios[-1]:.2f}", end="")  # noqa: T201
    print(f"\nmedian {statistics.median(ratios):.2f}")  # noqa: T201
    assert statistics.median(ratios) <= 0.20
