"""The first page costs about the same in a large database as in a small one."""

from __future__ import annotations

import statistics
from contextlib import AsyncExitStack
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from couponctl.models import Sort
from couponctl.postgres.database import open_database
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from couponctl.postgres.limits import Limits
    from tests.support.clones import Clones

pytestmark = pytest.mark.benchmark

ROUNDS = 41
"""The two sides take turns, so that a slow moment of the machine meets both."""

FILL = """
    INSERT INTO coupons
    SELECT 'C' || lpad(n::text, 6, '0'), 2000000, 2000000 FROM generate_series(1, {coupons}) n;
    INSERT INTO claims
    SELECT 'C000001', 'u' || lpad(n::text, 7, '0') FROM generate_series(1, {claims}) n;
    UPDATE coupons SET remaining_amount = amount - {claims} WHERE name = 'C000001';
"""


@pytest.fixture(scope="module")
def filled_urls(clones: Clones) -> Iterator[list[str]]:
    """Ten coupons and ten claims; 100,000 coupons and 1,000,000 claims of one."""
    with clones.database() as small, clones.database() as large:
        for url, coupons, claims in ((small, 10, 10), (large, 100_000, 1_000_000)):
            clones.execute(url, FILL.format(coupons=coupons, claims=claims))
            clones.execute(url, "VACUUM ANALYZE")
        yield [small, large]


@pytest.fixture
async def small_and_large(
    filled_urls: list[str], limits: Limits
) -> AsyncIterator[tuple[CouponService, CouponService]]:
    async with AsyncExitStack() as stack:
        small, large = [
            await stack.enter_async_context(
                open_database(server_at(url, source="the benchmark"), limits, application="couponctl/bench")
            )
            for url in filled_urls
        ]
        yield CouponService(small), CouponService(large)


QUESTIONS: dict[str, Callable[[CouponService], Awaitable[object]]] = {
    "list": lambda service: service.list(limit=10),
    "list, second page": lambda service: service.list(limit=5, after="C000005"),
    "show": lambda service: service.show("C000001", limit=10),
    "show, second page": lambda service: service.show("C000001", limit=5, after="u0000005"),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_first_page(small_and_large: tuple[CouponService, CouponService], question: str) -> None:
    ask = QUESTIONS[question]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for service, taken in zip(small_and_large, times, strict=True):
            began = perf_counter()
            await ask(service)
            taken.append(perf_counter() - began)
    small, large = (statistics.median(taken) * 1000 for taken in times)

    print(f"\n{question}: small {small:.2f} ms, large {large:.2f} ms, ratio {large / small:.2f}")  # noqa: T201
    assert large / small < 1.5


async def test_other_orders_read_the_whole_table_and_say_how_long(
    small_and_large: tuple[CouponService, CouponService],
) -> None:
    """They have no index, so this is only reported."""
    began = perf_counter()
    page = await small_and_large[1].list(sort=Sort.REMAINING, limit=10)

    print(f"\nlist --sort remaining of 100,000: {(perf_counter() - began) * 1000:.0f} ms")  # noqa: T201
    assert page.coupons[0].name == "C000001"
