"""Creating, listing and showing; the claim has a contract of its own."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import CouponExists, CouponNotFound, Invalid
from couponctl.models import Outcome, Sort

if TYPE_CHECKING:
    from couponctl.models import Coupon
    from couponctl.service import Attempt, CouponService


async def test_create_answers_with_the_coupon(service: CouponService) -> None:
    coupon = await service.create("SPRING", 10)

    assert (coupon.name, coupon.amount, coupon.remaining_amount) == ("SPRING", 10, 10)
    assert (await service.show("SPRING")).coupon == coupon


async def test_a_name_is_given_once(service: CouponService, coupon: Coupon) -> None:
    with pytest.raises(CouponExists):
        await service.create(coupon.name, 99)

    assert (await service.show(coupon.name)).coupon.amount == coupon.amount


async def test_of_many_who_create_at_once_one_wins(service: CouponService) -> None:
    answers = await asyncio.gather(*(service.create("RACE", 5) for _ in range(12)), return_exceptions=True)

    assert sum(isinstance(answer, CouponExists) for answer in answers) == 11


async def test_an_unknown_coupon_cannot_be_shown(service: CouponService) -> None:
    with pytest.raises(CouponNotFound):
        await service.show("NEVER")


async def test_pages_of_claimants_together_are_everybody(service: CouponService) -> None:
    await service.create("MANY", 50)
    for number in range(25):
        await service.claim("MANY", f"user-{number:02}")

    pages, after = [], None
    while True:
        page = await service.show("MANY", limit=10, after=after)
        pages.append(page.claimed_by)
        after = page.next
        if after is None:
            break

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [user for page in pages for user in page] == [f"user-{number:02}" for number in range(25)]


async def test_whether_a_user_got_it_is_answered_from_the_ledger(
    service: CouponService, sold_out_coupon: Coupon
) -> None:
    claim = await service.find_claim(sold_out_coupon.name, "winner")

    assert claim is not None
    assert (claim.user_id, claim.created_at is not None) == ("winner", True)
    assert await service.find_claim(sold_out_coupon.name, "loser") is None
    with pytest.raises(CouponNotFound):
        await service.find_claim("NEVER", "winner")
    with pytest.raises(Invalid):
        await service.find_claim(sold_out_coupon.name, "a\0b")


async def test_the_newest_claimants_come_first(service: CouponService, coupon: Coupon) -> None:
    await service.create("OTHER", 1)
    for user in ("first", "a", "z", "last"):
        await service.claim(coupon.name, user)
    await service.claim("OTHER", "elsewhere")

    newest = await service.newest_claimants(coupon.name, limit=3)

    assert [claim.user_id for claim in newest] == ["last", "z", "a"]
    times = [claim.created_at for claim in newest]
    assert all(earlier < later for later, earlier in pairwise(times) if later and earlier)
    assert None not in times
    assert await service.newest_claimants("NEVER") == ()
    with pytest.raises(Invalid):
        await service.newest_claimants("a\0b")


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort.NAME, "ABCDE"),
        (Sort.REMAINING, "CBDEA"),
        (Sort.CLAIMED, "CBADE"),
        (Sort.AMOUNT, "AEDBC"),
        (Sort.CREATED, "EADCB"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_pages_of_coupons_together_are_all_in_order(
    service: CouponService, sort: Sort, expected: str, limit: int
) -> None:
    for name, amount in (("B", 3), ("C", 2), ("D", 4), ("A", 9), ("E", 8)):
        await service.create(name, amount)
    for name, users in (("B", 1), ("C", 2)):
        for user in range(users):
            await service.claim(name, f"user-{user}")

    names, after = "", None
    for _ in range(10):
        page = await service.list(sort=sort, limit=limit, after=after)
        names += "".join(coupon.name for coupon in page.coupons)
        after = page.next
        if after is None:
            break

    assert names == expected


@pytest.mark.parametrize(
    ("matching", "expected"),
    [("spring", ["SPRING-1", "spring 2"]), ("%", ["100%"]), ("_", ["a_b"]), ("\\", ["c\\d"]), ("zzz", [])],
)
async def test_the_filter_is_text_and_no_pattern(
    service: CouponService, matching: str, expected: list[str]
) -> None:
    for name in ("SPRING-1", "spring 2", "100%", "a_b", "c\\d", "O'Brien"):
        await service.create(name, 1)

    assert sorted(c.name for c in (await service.list(matching=matching)).coupons) == sorted(expected)


async def test_many_claims_are_answered_in_their_order(service: CouponService) -> None:
    await service.create("FEW", 2)
    answers: list[Attempt] = []

    await service.claim_many("FEW", ["a", "b", "a", "c"], answers.extend)

    assert [(a.user_id, a.outcome) for a in answers] == [
        ("a", Outcome.CLAIMED),
        ("b", Outcome.CLAIMED),
        ("a", Outcome.ALREADY_CLAIMED),
        ("c", Outcome.SOLD_OUT),
    ]


async def test_many_claims_of_nothing_or_for_nobody_are_refused_as_a_whole(
    service: CouponService, coupon: Coupon
) -> None:
    answers: list[Attempt] = []

    with pytest.raises(CouponNotFound):
        await service.claim_many("NEVER", ["a"], answers.extend)
    with pytest.raises(Invalid):
        await service.claim_many(coupon.name, ["a", " "], answers.extend)

    assert answers == []
    assert (await service.show(coupon.name)).claimed_by == ()


async def test_the_pool_counts_what_it_lent(service: CouponService, coupon: Coupon) -> None:
    await service.claim(coupon.name, "early")
    await asyncio.gather(*(service.claim(coupon.name, f"user-{n}") for n in range(20)))

    stats = service.pool_stats()

    assert (stats.size, stats.peak_in_use, stats.in_use, stats.waiting) == (5, 3, 0, 0), (
        "three max_per_coupon"
    )
    assert stats.peak_waiting == 17
    assert stats.acquires == 23, "the first claim asked what the tables are like"
    assert stats.acquire_p50_ms is not None
    assert stats.acquire_p99_ms is not None
    assert stats.acquire_p50_ms <= stats.acquire_p99_ms


async def test_the_server_counts_our_backends(service: CouponService, coupon: Coupon) -> None:
    stats = await service.server_stats()

    assert stats.own_backends == 1
    assert stats.active == 1
    assert stats.backends <= stats.max_connections
