"""A bench on a real server: the baseline, the order of its rounds, the ledger, and nothing left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from couponctl.bench.closed import Closed
from couponctl.bench.load import Load
from couponctl.bench.open import Open
from couponctl.bench.pgbench import timed_by
from couponctl.bench.sandbox import bench_sandbox
from couponctl.bench.timed import Timed
from couponctl.errors import LedgerBroken, NoHeadRoom
from couponctl.ledger.tables import coupons
from couponctl.sandbox.schema import OnServer
from tests.support.leftovers import assert_nothing_left
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from couponctl.bench.rows import Cell
    from couponctl.bench.sandbox import BenchSandbox
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


@pytest.fixture
async def place(server: Server, limits: Limits) -> AsyncIterator[BenchSandbox]:
    async with bench_sandbox(server, limits, 50, OnServer()) as place:
        yield place


async def test_pgbench_claims_in_a_balanced_ledger_and_its_warm_up_does_not_count(
    place: BenchSandbox,
) -> None:
    await place.create_coupons(3)

    timed = await place.pgbench.run(coupons=3, seconds=2.4, warm_up=1)  # on a busy machine 50 logins take one

    await place.hold_against_ledger("pgbench", timed)
    assert timed.won > len(timed.latencies) > 10
    assert timed.seconds < 4
    assert 0 < timed.p50_ms < timed.p99_ms


async def test_pgbench_ends_with_who_waits_for_it(place: BenchSandbox, observer: asyncpg.Connection) -> None:
    async def clients() -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
        return int(await observer.fetchval(query, place.pgbench.application))

    await place.create_coupons(1)
    run = asyncio.create_task(place.pgbench.run(coupons=1, seconds=60, warm_up=0))
    await until(clients, 50)
    run.cancel()
    await asyncio.wait({run})

    await until(clients, 0)


def test_its_log_counts_from_the_first_start_after_the_warm_up(tmp_path: Path) -> None:
    """Two threads write a file each; in all, they end 0.1, 0.5, 1.1 and 1.3 s after the first began."""
    (tmp_path / "latency.1").write_text("0 1 100000 0 1000 100000\n0 2 200000 0 1001 300000\n")
    (tmp_path / "latency.1.1").write_text("1 1 400000 0 1000 500000\n1 2 300000 0 1001 100000\n")

    timed = timed_by(tmp_path, warm_up=0.3)

    assert timed.won == 4
    assert timed.latencies == (0.2, 0.3)
    assert timed.seconds == pytest.approx(1.0)


def test_a_log_without_a_transaction_is_of_no_claims(tmp_path: Path) -> None:
    assert timed_by(tmp_path, 0.3).claims_per_s == 0


async def test_rounds_are_interleaved_and_each_has_a_yardstick_of_its_own(
    place: BenchSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Cell] = []
    rates = iter([10, 20, 30, 100, 400, 500])

    async def at_the_next_rate(_course: Closed, _ground: BenchSandbox, cell: Cell) -> Timed:
        measured.append(cell)
        rate = next(rates)
        return Timed(rate, 1.0, (0.001,) * rate)

    monkeypatch.setattr(Closed, "_measured", at_the_next_rate)
    course = Closed(("statement", "batched"), (5,), (1,), seconds=1, rounds=2, pgbench=True)

    result = await course.run(place, lambda _: None)

    assert [cell.subject for cell in measured] == ["pgbench", "statement", "batched"] * 2
    assert [row["vs_pgbench"] for row in result.document["rows"]] == [1.0, 3.0, 4.0]


async def test_every_measurement_is_of_a_ledger_that_balances(place: BenchSandbox) -> None:
    course = Closed(("statement", "batched"), (1, 20), (2,), seconds=0.1, rounds=1, pgbench=False)
    told: list[str] = []

    result = await course.run(place, told.append)

    assert [line.partition(":")[0] for line in told] == [
        f"{name}, {number} in flight on 2 coupons" for name in ("statement", "batched") for number in (1, 20)
    ]
    assert all(row["claims_per_s"] > 100 and row["p50_ms"] for row in result.document["rows"])
    assert [row["vs_pgbench"] for row in result.document["rows"]] == [None] * 4


async def test_an_open_bench_puts_the_same_users_on_every_strategy(place: BenchSandbox) -> None:
    course = Open(("statement", "batched"), (1, 3), Load(rate=200, seconds=0.2, seed=4))

    result = await course.run(place, lambda _: None)

    rows = result.document["rows"]
    assert (result.document["rate"], result.document["seed"]) == (200, 4)
    assert [(row["subject"], row["coupons"]) for row in rows] == [
        ("statement", 1),
        ("batched", 1),
        ("statement", 3),
        ("batched", 3),
    ]
    assert len({row["came_per_s"] for row in rows}) == 1
    assert all(row["failed"] == row["dropped"] == 0 for row in rows)


async def test_a_rate_that_is_not_reached_is_said_loudly(place: BenchSandbox) -> None:
    course = Open(("transaction",), (1,), Load(rate=5000, seconds=0.1, seed=4))

    result = await course.run(place, lambda _: None)

    assert result.document["rows"][0]["rate_reached"] is False
    (warning,) = result.warnings
    assert warning.startswith("transaction on 1 coupon: RATE NOT REACHED: ")


@pytest.mark.parametrize(
    "loads",
    [(Timed(1, 1.0, ()),), (Timed(0, 1.0, ()), Timed(2, 1.0, (), unknown=1))],
    ids=["one that was won is missing", "two are missing"],
)
async def test_claims_that_are_not_in_the_ledger_end_the_bench(
    place: BenchSandbox, loads: tuple[Timed, ...]
) -> None:
    await place.create_coupons(1)

    with pytest.raises(LedgerBroken, match="are in the ledger"):
        await place.hold_against_ledger("mutant", *loads)


async def test_claims_that_nobody_won_end_the_bench_unless_their_outcome_is_unknown(
    place: BenchSandbox,
) -> None:
    (name,) = await place.create_coupons(1)
    async with place.service("statement") as service:
        await service.claim(name, "somebody")

    await place.hold_against_ledger("statement", Timed(0, 1.0, (), unknown=1))
    with pytest.raises(LedgerBroken):
        await place.hold_against_ledger("statement", Timed(0, 1.0, ()))


async def test_an_audit_that_finds_something_ends_the_bench(place: BenchSandbox) -> None:
    await place.create_coupons(1)
    async with place.observer.session() as session:
        await session.execute(update(coupons).values(remaining_amount=coupons.c.remaining_amount - 1))
        await session.commit()

    with pytest.raises(LedgerBroken, match="too few"):
        await place.hold_against_ledger("statement", Timed(0, 1.0, ()))


async def test_its_schema_is_gone_afterwards(
    server: Server, limits: Limits, observer: asyncpg.Connection
) -> None:
    on_server = OnServer()
    async with bench_sandbox(server, limits, 0, on_server) as place:
        await place.create_coupons(2)
        assert on_server.schema == place.schema

    await assert_nothing_left(observer)
    assert on_server.schema is None


async def test_without_head_room_nothing_is_created(
    server: Server, limits: Limits, observer: asyncpg.Connection
) -> None:
    with pytest.raises(NoHeadRoom):
        async with bench_sandbox(server, limits, 10_000, OnServer()):
            pytest.fail("there is no place for it")
    await assert_nothing_left(observer)
