"""An answer that is put together from several statements is of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from couponctl.models import Sort
from couponctl.postgres.database import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncpg

    from couponctl.models import Coupon
    from couponctl.service import CouponService

CLAIM_ONE = """
    UPDATE coupons SET remaining_amount = remaining_amount - 1 WHERE name = 'SPRING';
    INSERT INTO claims (coupon_name, user_id) VALUES ('SPRING', 'meanwhile')
"""


@pytest.fixture
def meanwhile(other_session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What another client does, and commits, behind the next statement of a session."""
    execute = Session.execute
    pending: list[str] = []

    async def execute_then(session: Session, *arguments: Any) -> Any:
        result = await execute(session, *arguments)
        while pending:
            await other_session.execute(pending.pop())
        return result

    monkeypatch.setattr(Session, "execute", execute_then)
    return pending.append


async def test_a_coupons_stock_and_its_claimants_are_of_one_moment(
    service: CouponService, coupon: Coupon, meanwhile: Callable[[str], None]
) -> None:
    meanwhile(CLAIM_ONE)

    shown = await service.show(coupon.name)

    assert shown.coupon.amount - shown.coupon.remaining_amount == len(shown.claimed_by)
    assert (await service.show(coupon.name)).claimed_by == ("meanwhile",)


async def test_a_claim_is_not_missed_when_its_coupon_is_removed_meanwhile(
    service: CouponService, coupon: Coupon, meanwhile: Callable[[str], None]
) -> None:
    await service.claim(coupon.name, "alice")
    meanwhile("DELETE FROM claims; DELETE FROM coupons")

    claim = await service.find_claim(coupon.name, "alice")

    assert claim is not None
    assert claim.user_id == "alice"


async def test_a_page_does_not_begin_with_the_coupon_that_it_is_behind(
    service: CouponService, meanwhile: Callable[[str], None]
) -> None:
    for name, amount in (("A", 1), ("B", 2), ("C", 3)):
        await service.create(name, amount)
    meanwhile("UPDATE coupons SET amount = 9, remaining_amount = 9 WHERE name = 'A'")

    page = await service.list(sort=Sort.REMAINING, after="A")

    assert [each.name for each in page.coupons] == ["B", "C"]


async def test_an_audit_is_of_one_moment(
    service: CouponService, coupon: Coupon, meanwhile: Callable[[str], None]
) -> None:
    await service.claim(coupon.name, "alice")
    meanwhile("DELETE FROM claims; INSERT INTO coupons VALUES ('NEW', 1, 1)")

    audit = await service.verify()

    assert audit.ok
    assert (audit.coupons, audit.claims) == (1, 1)
    assert not (await service.verify()).ok
