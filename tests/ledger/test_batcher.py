"""How claims are gathered into batches: what it costs a claim, and what is kept of a coupon."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from couponctl.ledger.claims import batcher
from couponctl.ledger.claims.batcher import Batcher
from couponctl.models import Outcome, Phases
from tests.support.rules_of_their_own import KEEPS_OUT
from tests.support.waiting import until

if TYPE_CHECKING:
    import asyncpg

    from couponctl.models import Coupon
    from couponctl.postgres.database import Database


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever somebody looks at it."""
    ticks = count(100.0)
    monkeypatch.setattr(batcher, "perf_counter", lambda: next(ticks))


@pytest.mark.parametrize("rules", ["SELECT", KEEPS_OUT], ids=["plain", "tried one by one"])
@pytest.mark.usefixtures("ticking")
async def test_a_claim_waits_from_its_call_to_the_connection_of_its_batch(
    database: Database, coupon: Coupon, other_session: asyncpg.Connection, rules: str
) -> None:
    await other_session.execute(rules)
    claim = Batcher(database)

    told = await asyncio.gather(*(claim(coupon.name, user) for user in "abc"))

    assert told == [(Outcome.CLAIMED, Phases(pool_wait=waited, execute=1.0)) for waited in (3.0, 2.0, 1.0)]


async def test_of_a_coupon_that_nobody_claims_any_more_nothing_is_kept(
    database: Database, coupon: Coupon
) -> None:
    claim = Batcher(database)

    async def coupons_kept() -> int:
        return len(claim._lines)

    for user in "ab":
        await claim(coupon.name, user)
        await until(coupons_kept, 0)
