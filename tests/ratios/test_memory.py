"""Memory does not grow with the sale, and a million users are granted about as fast as batches go."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from couponctl.bench.load import closed_load
from couponctl.bench.sandbox import bench_sandbox
from couponctl.postgres.limits import Limits
from couponctl.sandbox.schema import OnServer
from tests.ratios.programs import COUPONCTL, megabytes_of, run

if TYPE_CHECKING:
    from pathlib import Path

    from couponctl.postgres.libpq import Server

pytestmark = pytest.mark.benchmark

MILLION = 1_000_000


def test_a_drill_of_50_000_users(database_url: str) -> None:
    there = {"COUPONCTL_URL": database_url}

    command = (*COUPONCTL, "drill", "scale", "--n", "50000", "--timeout", "300", "--yes")

    megabytes = megabytes_of(*command, environment=there)

    print(f"\ndrill scale --n 50000: {megabytes:.0f} MB")  # noqa: T201
    assert megabytes < 300


async def test_a_grant_to_a_million_users(database_url: str, server: Server, tmp_path: Path) -> None:
    users = tmp_path / "users.txt"
    users.write_text("".join(f"user-{number}\n" for number in range(MILLION)))
    there = {"COUPONCTL_URL": database_url}
    run(*COUPONCTL, "create", "EVERYBODY", str(MILLION), environment=there)
    batched = [await _batched_rate(server)]

    began = perf_counter()
    megabytes = megabytes_of(*COUPONCTL, "claim", "EVERYBODY", "--from", str(users), environment=there)
    rate = MILLION / (perf_counter() - began)

    batched.append(await _batched_rate(server))
    other = sum(batched) / len(batched)
    print(f"\na million: {megabytes:.0f} MB, {rate:,.0f}/s, ratio to batched {rate / other:.2f}")  # noqa: T201
    assert megabytes < 150
    assert rate / other >= 0.7


async def _batched_rate(server: Server) -> float:
    """Claims a second with 500 in flight."""
    async with bench_sandbox(server, Limits(), 0, OnServer()) as place:
        (coupon,) = await place.create_coupons(1)
        async with place.service("batched") as service:
            await closed_load(service, [coupon], 500, 0.3, users="warm")
            return (await closed_load(service, [coupon], 500, 3.0, users="user")).claims_per_s
