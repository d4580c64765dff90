"""`verify` finds each kind of damage, and only that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.errors import CouponNotFound
from couponctl.ledger.rules import Standing, judge
from couponctl.models import Finding, FindingKind
from couponctl.postgres import connect
from tests.support.rules_of_their_own import AUTO_VIEW

if TYPE_CHECKING:
    import asyncpg

    from couponctl.models import Coupon
    from couponctl.service import CouponService

WITHOUT_RULES = """
    ALTER TABLE claims DROP CONSTRAINT claims_coupon_name_fkey, DROP CONSTRAINT claims_pkey;
    ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount;
"""


async def test_a_ledger_that_balances(
    service: CouponService, sold_out_coupon: Coupon, coupon: Coupon
) -> None:
    await service.claim(coupon.name, "alice")

    audit = await service.verify()

    assert audit.ok
    assert (audit.coupons, audit.claims) == (2, 2)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            "UPDATE coupons SET remaining_amount = 3",
            {FindingKind.LOST_STOCK: "the counter says 3 left, 9 are unclaimed: too few"},
        ),
        (
            "UPDATE coupons SET remaining_amount = 10",
            {FindingKind.OVERSTATED_STOCK: "the counter says 10 left, 9 are unclaimed: too many"},
        ),
        (
            "UPDATE coupons SET remaining_amount = 11",
            {FindingKind.OVERSTATED_STOCK: "the counter says 11 left, 9 are unclaimed: too many"},
        ),
        (
            "UPDATE coupons SET amount = 1, remaining_amount = 1",
            {FindingKind.OVERSTATED_STOCK: "the counter says 1 left, 0 are unclaimed: too many"},
        ),
        (
            "UPDATE coupons SET remaining_amount = -1",
            {FindingKind.NEGATIVE_STOCK: "the counter says -1 left"},
        ),
        (
            "UPDATE coupons SET amount = 0, remaining_amount = -1",
            {
                FindingKind.OVERSOLD: "1 claim of 0 units",
                FindingKind.NEGATIVE_STOCK: "the counter says -1 left",
            },
        ),
        (
            "INSERT INTO claims VALUES ('SPRING', 'alice'); UPDATE coupons SET remaining_amount = 8",
            {FindingKind.DUPLICATE_CLAIM: "2 claims by 1 user"},
        ),
    ],
)
async def test_damage_is_found_and_nothing_else(
    service: CouponService,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    damage: str,
    found: dict[FindingKind, str],
) -> None:
    await service.claim(coupon.name, "alice")
    await other_session.execute(WITHOUT_RULES + "ALTER TABLE coupons DROP CONSTRAINT coupons_amount_positive")
    await other_session.execute(damage)

    findings = [f for f in (await service.verify()).findings if f.kind is not FindingKind.MISSING_CONSTRAINT]

    assert {finding.kind: finding.detail for finding in findings} == found
    assert {finding.coupon for finding in findings} == {coupon.name}


async def test_claims_of_a_coupon_that_is_gone_are_found(
    service: CouponService, coupon: Coupon, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(WITHOUT_RULES)
    await other_session.execute("INSERT INTO claims VALUES ('GHOST', 'x')")

    orphan, *missing = (await service.verify()).findings

    assert (orphan.coupon, orphan.kind) == ("GHOST", FindingKind.ORPHAN_CLAIM)
    assert orphan.detail == "1 claim of a coupon that does not exist"
    assert {finding.kind for finding in missing} == {FindingKind.MISSING_CONSTRAINT}


async def test_missing_rules_are_findings_in_their_own_words(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(WITHOUT_RULES)

    findings = (await service.verify()).findings

    async with service.database.session() as session:
        missing = (await judge(session)).of(Standing.MISSING)
    assert len(missing) == 3
    assert findings == tuple(Finding(None, FindingKind.MISSING_CONSTRAINT, rule.words) for rule in missing)


async def test_rules_that_cannot_be_judged_are_told_and_are_no_findings(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(AUTO_VIEW)

    audit = await service.verify()

    async with service.database.session() as session:
        not_told = (await judge(session)).of(Standing.NOT_TOLD)
    assert not_told
    assert audit.not_told == tuple(rule.words for rule in not_told)
    assert audit.findings == ()


async def test_some_coupons_only(
    service: CouponService, coupon: Coupon, other_session: asyncpg.Connection
) -> None:
    await service.create("SOUND", 3)
    for name, user in (("SPRING", "alice"), ("SOUND", "bob"), ("SOUND", "carol")):
        await service.claim(name, user)
    await other_session.execute("UPDATE coupons SET remaining_amount = 1 WHERE name = 'SPRING'")

    some = await service.verify(["SOUND"])

    assert some.ok
    assert (some.coupons, some.claims) == (1, 2)
    assert [f.coupon for f in (await service.verify(["SPRING", "SOUND"])).findings] == ["SPRING"]
    with pytest.raises(CouponNotFound):
        await service.verify(["SOUND", "NEVER"])


async def test_findings_come_in_the_order_of_the_names(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("INSERT INTO coupons VALUES ('D', 9, 5), ('B', 9, 5), ('E', 9, 5)")
    await other_session.execute(WITHOUT_RULES)
    await other_session.execute("INSERT INTO claims VALUES ('C', 'x'), ('A', 'x')")

    findings = (await service.verify()).findings

    assert [finding.coupon for finding in findings if finding.coupon] == ["A", "B", "C", "D", "E"]


async def test_a_ledger_with_more_findings_than_one_answer_holds(
    service: CouponService, other_session: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await other_session.execute("INSERT INTO coupons SELECT n::text, 9, 5 FROM generate_series(1, 3000) n")
    monkeypatch.setattr(connect, "ANSWER", 1 << 18)

    assert len((await service.verify()).findings) == 3000
