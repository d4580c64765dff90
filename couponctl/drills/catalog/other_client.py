"""A sale in which another client writes to the same tables, bypassing the service under attack."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from couponctl.aio.cancellation import task_group
from couponctl.drills.check import Check, equals
from couponctl.drills.faults.database import Backends
from couponctl.drills.journal import Entry
from couponctl.ledger.tables import claims, coupons
from couponctl.models import Outcome

if TYPE_CHECKING:
    from couponctl.drills.context import DrillContext

COUPON = "SHARED"
OTHER = "a user of another client"
WAITING = 10


async def sell_beside_another(context: DrillContext) -> list[Check]:
    """Let another client take the only unit while users of the service wait for the row."""
    await context.create(COUPON, 1)
    users = [f"waiting-{number}" for number in range(1, WAITING + 1)]
    async with task_group() as group, context.observer() as observer, observer.session() as session:
        began = perf_counter()
        await session.execute(select(coupons.c.name).where(coupons.c.name == COUPON).with_for_update())
        storm = group.create_task(context.storm(COUPON, users), name="claiming beside another client")
        backends = Backends(observer, context.application)
        while not storm.done() and not await backends.waiting():
            await asyncio.sleep(0.005)
        await session.execute(insert(claims).values(coupon_name=COUPON, user_id=OTHER))
        await session.execute(update(coupons).where(coupons.c.name == COUPON).values(remaining_amount=0))
        await session.commit()
        context.journal.entries.append(Entry(COUPON, OTHER, began, began, perf_counter(), Outcome.CLAIMED))
        await storm
    told = [entry.outcome for entry in context.journal.of(COUPON)]
    ledger = await context.ledger(COUPON)
    return [
        equals(
            "beside-another-sold-out",
            'users who wait while another client takes the only unit, and get "sold out"',
            WAITING,
            told.count(Outcome.SOLD_OUT),
        ),
        equals("beside-another-claimants", "claimants of that unit", [OTHER], list(ledger.claimed_by)),
    ]
