"""A connection lost around the commit: the outcome is resolved from the ledger, never guessed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.faults.proxy import Lost, WireProxy, wire_proxy
from couponctl.errors import OutcomeUnknown, Unreachable
from couponctl.ledger.claims import BATCHED, STATEMENT, TRANSACTION
from couponctl.models import Outcome
from couponctl.postgres.database import open_database
from couponctl.service import CouponService, RetryPolicy
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.models import Coupon
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

COMMITTING = {TRANSACTION: b"COMMIT;", STATEMENT: b"victim", BATCHED: b"victim"}
"""What marks the message that commits: the word, or the user id that is bound to the one statement."""


@pytest.fixture
async def proxy(server: Server, short_path: Path) -> AsyncIterator[WireProxy]:
    async with wire_proxy(server) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: WireProxy, limits: Limits, strategy: Strategy) -> AsyncIterator[CouponService]:
    """The service, all of whose connections lead through the proxy."""
    async with open_database(proxy.server, limits, application="couponctl/test") as database:
        yield CouponService(
            database, strategy=strategy, retry_policy=RetryPolicy(base_delay=0.001, max_delay=0.01)
        )


async def test_a_lost_answer_is_found_in_the_ledger(
    proxy: WireProxy, proxied: CouponService, coupon: Coupon, strategy: Strategy
) -> None:
    proxy.lose(Lost.ANSWER, COMMITTING[strategy])
    attempt = await proxied.claim(coupon.name, "victim")

    assert proxy.losses == 1
    assert attempt.outcome is Outcome.ALREADY_CLAIMED, "true, whoever of the two tries made the claim"
    assert attempt.resolved
    assert (await proxied.show(coupon.name)).coupon.remaining_amount == coupon.amount - 1


async def test_a_lost_request_is_made_again(
    proxy: WireProxy, proxied: CouponService, coupon: Coupon, strategy: Strategy
) -> None:
    proxy.lose(Lost.REQUEST, COMMITTING[strategy])
    attempt = await proxied.claim(coupon.name, "victim")

    assert proxy.losses == 1
    assert attempt.outcome is Outcome.CLAIMED
    assert attempt.resolved
    assert (await proxied.show(coupon.name)).claimed_by == ("victim",)


async def test_the_owner_of_the_last_unit_is_never_told_sold_out(
    proxy: WireProxy, proxied: CouponService, strategy: Strategy
) -> None:
    await proxied.create("LAST", 1)
    proxy.lose(Lost.ANSWER, COMMITTING[strategy])
    attempt = await proxied.claim("LAST", "victim")

    assert attempt.outcome is Outcome.ALREADY_CLAIMED
    assert (await proxied.verify()).ok


async def test_what_cannot_be_resolved_is_said_to_be_unknown(
    proxy: WireProxy, proxied: CouponService, coupon: Coupon, strategy: Strategy
) -> None:
    proxy.lose(Lost.REQUEST, COMMITTING[strategy], times=100)
    attempt = await proxied.claim(coupon.name, "victim")

    assert attempt.outcome is Outcome.UNKNOWN
    assert isinstance(attempt.refusal, OutcomeUnknown)
    assert proxy.losses == RetryPolicy().attempts


async def test_a_connection_lost_before_the_commit_is_a_plain_failure(
    proxy: WireProxy, limits: Limits, coupon: Coupon
) -> None:
    async with open_database(proxy.server, limits, application="couponctl/test") as database:
        service = CouponService(database, strategy=TRANSACTION)
        proxy.lose(Lost.ANSWER, b"UPDATE coupons")
        attempt = await service.claim(coupon.name, "victim")

        assert proxy.losses == 1
        assert attempt.outcome is Outcome.UNAVAILABLE
        assert isinstance(attempt.refusal, Unreachable)
        assert (await service.show(coupon.name)).claimed_by == ()


@pytest.mark.parametrize("word", ["INSERT", "UPDATE"])
async def test_a_backend_terminated_in_mid_transaction_is_a_plain_failure(
    service: CouponService,
    coupon: Coupon,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
    word: str,
) -> None:
    """Another session holds what the claim needs next, and its backend is terminated while it waits."""
    await other_session.execute(f"""
        CREATE FUNCTION stop_here() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END';
        CREATE TRIGGER stop AFTER {word} ON {"claims" if word == "INSERT" else "coupons"}
            FOR EACH ROW EXECUTE FUNCTION stop_here();
    """)
    service = CouponService(service.database, strategy=TRANSACTION)
    async with other_session.transaction():
        await other_session.execute("SELECT pg_advisory_xact_lock(4711)")
        claim = asyncio.create_task(service.claim(coupon.name, "victim"))
        await until(lambda: observer.fetchval(_TERMINATE_WAITING), 1)

    assert (await claim).outcome is Outcome.UNAVAILABLE
    assert (await service.show(coupon.name)).claimed_by == ()
    assert (await service.claim(coupon.name, "next")).outcome is Outcome.CLAIMED
    assert service.pool_stats().in_use == 0


_TERMINATE_WAITING = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event = 'advisory'
"""
