"""Breakage in the middle of a claim: lost connections, failing writes, deadlocks, cancellations."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from couponctl.aio.cancellation import gather_all, task_group
from couponctl.drills.catalog.sale import Sale, sell
from couponctl.drills.check import Check, equals, none_of
from couponctl.drills.drill import Drill, Parameters, parameter
from couponctl.drills.faults.database import (
    Backends,
    Fault,
    Point,
    deadlocked_at,
    drained_pool,
    failing_at,
    held_row,
    stopped_at,
)
from couponctl.drills.faults.proxy import Lost, wire_proxy
from couponctl.errors import Contended, Unavailable
from couponctl.ledger.claims import STATEMENT, TRANSACTION
from couponctl.ledger.tables import coupons
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Select

    from couponctl.drills.context import DrillContext
    from couponctl.postgres.database import Database
    from couponctl.postgres.limits import Limits

COUPON = "FRAGILE"
_LOST_ANSWERS = {"lost answer", "lost in the commit"}
"""Users whose claim reaches its commit and whose connection breaks before the answer."""
TOGETHER = 3
"""Concurrent claims where one would do, so that a batch of several breaks too."""
INSIDE = (Point.AFTER_LOCK, Point.AFTER_INSERT, Point.AFTER_UPDATE)


@dataclass(frozen=True, kw_only=True)
class Drops(Parameters):
    pool_size: int = parameter(3, "connections in the drill's pool")
    n: int = parameter(20, "claims that must succeed afterwards")
    patience: float = parameter(2.0, "seconds that a claim waits for an answer that never comes")

    def limits(self, limits: Limits) -> Limits:
        return replace(
            super().limits(limits),
            command_timeout=self.patience,
            statement_timeout=self.patience / 2,
            lock_timeout=self.patience / 2,
        )


async def _drop_connections(context: DrillContext, drops: Drops) -> list[Check]:
    await context.create(COUPON, drops.n + 100)
    async with context.observer() as observer:
        terminated = [await _terminate_at(point, context, observer) for point in INSIDE]
    await _lose_commits(context)
    await _lose_an_answer_before_the_commit_ends(context)
    unresolved = [e.user_id for e in context.journal.entries if e.outcome is Outcome.UNKNOWN]
    lost = [entry for entry in context.journal.entries if entry.user_id in _LOST_ANSWERS]
    healthy = [await context.claim(COUPON, f"afterwards-{number}") for number in range(1, drops.n + 1)]
    return [
        equals(
            "backends-terminated",
            "moments inside a claim at which backends are terminated",
            len(INSIDE),
            sum(map(bool, terminated)),
        ),
        equals(
            "lost-answers-claimed",
            "answers lost with the connection and found to be claims",
            len(lost),
            sum(entry.acknowledged for entry in lost),
        ),
        none_of("unresolved-lost-answers", "unresolved lost answers", unresolved),
        equals("claims-afterwards", "claims won afterwards", drops.n, healthy.count(Outcome.CLAIMED)),
    ]


async def _terminate_at(point: Point, context: DrillContext, observer: Database) -> int:
    """Stop claims at the point, terminate their backends there, and let the claims find their answers."""
    backends = Backends(observer, context.application)
    async with task_group() as group, context.fault(stopped_at(point, observer)):
        for number in range(1, TOGETHER + 1):
            group.create_task(context.claim(COUPON, f"dropped {point.words} {number}"))
        await backends.until_waiting(1)
        return await backends.terminate_waiting()


async def _lose_commits(context: DrillContext) -> None:
    async with wire_proxy(context.service.database.server) as proxy, context.through(proxy.server) as service:
        rounds = [(lost, (user := f"lost {lost.name.lower()}", f"beside {user}")) for lost in Lost]
        if service.strategy is STATEMENT:  # the others read first; a lost read leaves no doubt
            rounds.append((Lost.ANSWER, ("lost answer", "beside lost answer")))  # again: both now have one
        for lost, users in rounds:
            context.faults.append(fault := Fault(f"commit {lost.value}"))
            # A single statement commits itself; the user id bound to it identifies it.
            by_itself = service.strategy is not TRANSACTION
            proxy.lose(lost, users[0].encode() if by_itself else b"COMMIT;")
            before = proxy.losses
            await gather_all(*(context.claim(COUPON, user, service) for user in users))
            fault.happened = proxy.losses - before


async def _lose_an_answer_before_the_commit_ends(context: DrillContext) -> None:
    """Lose an answer while its commit is still under way: a mere read would find no claim, and be wrong."""
    user = "lost in the commit"
    async with (
        wire_proxy(context.service.database.server) as proxy,
        context.through(proxy.server) as service,
        context.observer() as observer,
        task_group() as group,
        context.fault(stopped_at(Point.COMMIT, observer)),
    ):
        proxy.lose(Lost.ANSWER, user.encode() if service.strategy is not TRANSACTION else b"COMMIT;")
        claim = group.create_task(context.claim(COUPON, user, service))
        backends = Backends(observer, context.application)
        while not claim.done() and await backends.waiting() < 2:
            await asyncio.sleep(0.005)


@dataclass(frozen=True, kw_only=True)
class Failures(Parameters):
    n: int = parameter(5, "claims that fail at each point")


async def _fail_halfway(context: DrillContext, failures: Failures) -> list[Check]:
    points = (Point.AFTER_LOCK, Point.AFTER_UPDATE, Point.COMMIT)
    users = {
        point: [f"failing {point.words} {each}" for each in range(1, failures.n + 1)] for point in points
    }
    failing = [user for theirs in users.values() for user in theirs]
    stock = len(failing) + 1
    await context.create(COUPON, stock)
    outcomes: list[Outcome] = []
    lists_failed = 0
    async with context.observer() as observer:
        for point, theirs in users.items():
            async with context.fault(failing_at(point, observer)):
                # Together, so that a batch of several fails as a whole.
                outcomes += await gather_all(*(context.claim(COUPON, user) for user in theirs))
                lists_failed += await _list_fails(context, theirs)
    left = await context.ledger(COUPON)
    again = [await context.claim(COUPON, user) for user in failing]
    next_one = await context.claim(COUPON, "afterwards")
    return [
        equals(
            "failures-told",
            'claims that fail halfway and get "unavailable"',
            len(failing),
            outcomes.count(Outcome.UNAVAILABLE),
        ),
        equals("list-failures-told", "lists that fail halfway and say so", len(points), lists_failed),
        none_of("half-done-claims", "failed claims in the ledger", left.claimed_by),
        equals("remaining", "remaining units after the failures", stock, left.coupon.remaining_amount),
        equals(
            "second-tries-won",
            "claims won on the second try by those who failed",
            len(failing),
            again.count(Outcome.CLAIMED),
        ),
        equals("claim-afterwards", "the next claim gets", Outcome.CLAIMED, next_one),
    ]


async def _list_fails(context: DrillContext, users: Sequence[str]) -> bool:
    """Whether a list of users is aborted when all of its claims fail."""
    try:
        await context.claim_many(COUPON, users)
    except Unavailable:
        return True
    return False


@dataclass(frozen=True, kw_only=True)
class Deadlock(Sale):
    n: int = parameter(10, "users who claim at the same instant")
    stock: int = parameter(2, "units on sale")


async def _lock_in_opposite_order(context: DrillContext, deadlock: Deadlock) -> list[Check]:
    checks = await sell(context, deadlock)
    pair = ("LEFT", "RIGHT")
    for name in pair:
        await context.create(name, 1)
    context.faults.append(fault := Fault("opposite lock order"))
    both_hold_one = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> str:
        try:
            async with context.service.database.session() as session:
                await session.execute(_locking(first))
                await both_hold_one.wait()
                await session.execute(_locking(second))
                await session.commit()
        except Contended:
            fault.happened += 1
            return "victim"
        return "went through"

    ends = await gather_all(lock(*pair), lock(*reversed(pair)))
    claims = [await context.claim(name, "afterwards") for name in pair]
    once, always = await _claim_as_victim(context)
    return [
        *checks,
        equals("deadlock-survivors", "transactions that survive the deadlock", 1, ends.count("went through")),
        equals("deadlock-victims", "transactions refused as its victim", 1, ends.count("victim")),
        equals("claims-afterwards", "claims won afterwards", len(pair), claims.count(Outcome.CLAIMED)),
        equals("victim-once", "a claim that is a deadlock's victim once gets", Outcome.CLAIMED, once),
        equals("victim-always", "a claim that is its victim each time gets", Outcome.UNAVAILABLE, always),
    ]


async def _claim_as_victim(context: DrillContext) -> tuple[Outcome, Outcome]:
    """Make a claim that the server aborts once, after it took its unit, and one that it always aborts."""
    await context.create("VICTIM", 5)
    async with context.observer() as observer:
        async with context.fault(deadlocked_at(Point.AFTER_UPDATE, observer, times=1)):
            once = await context.claim("VICTIM", "victim once")
        async with context.fault(deadlocked_at(Point.AFTER_UPDATE, observer)):
            always = await context.claim("VICTIM", "victim always")
    return once, always


def _locking(name: str) -> Select[Any]:
    return select(coupons.c.name).where(coupons.c.name == name).with_for_update()


@dataclass(frozen=True, kw_only=True)
class Cancellations(Parameters):
    pool_size: int = parameter(5, "connections in the drill's pool")
    n: int = parameter(5, "claims cancelled at each moment")
    afterwards: int = parameter(20, "claims that must succeed afterwards")
    # If a cancellation crosses the answer, SQLAlchemy gives the connection 2 s to close cleanly.
    at_once: float = parameter(4.0, "seconds within which a cancelled claim must have ended", at_least=0.1)


async def _cancel_claims(context: DrillContext, cancellations: Cancellations) -> list[Check]:
    slowest = 0.0
    async with context.observer() as observer:
        backends = Backends(observer, context.application)
        moments = _moments(context, observer)
        await context.create(COUPON, len(moments) * cancellations.n + cancellations.afterwards)
        for moment, fault in moments.items():
            async with task_group() as group, context.fault(fault()):
                claims = [
                    group.create_task(context.claim(COUPON, f"cancelled {moment} {number}"))
                    for number in range(1, cancellations.n + 1)
                ]
                await _all_there(moment, context, backends, len(claims))
                slowest = max(slowest, await _cancelled(claims, cancellations.at_once))
    done = (await context.ledger(COUPON)).claimed_by
    denied = [e.user_id for e in [*context.journal.entries] if await _denied(context, e.user_id, done)]
    healthy = [
        await context.claim(COUPON, f"afterwards-{number}") for number in range(cancellations.afterwards)
    ]
    return [
        Check(
            "slowest-cancellation",
            "slowest end of a cancelled claim",
            f"within {cancellations.at_once:g} s",
            f"{slowest:.2f} s",
            held=slowest < cancellations.at_once,
        ),
        none_of(
            "half-done-claims",
            "claims in the ledger that were cancelled before their commit",
            [user for user in done if IN_THE_COMMIT not in user],
        ),
        none_of("second-tries-denied", "cancelled users who claim again and get another answer", denied),
        equals(
            "claims-afterwards",
            "claims won afterwards",
            cancellations.afterwards,
            healthy.count(Outcome.CLAIMED),
        ),
    ]


async def _denied(context: DrillContext, user: str, done: Sequence[str]) -> bool:
    """Whether a user whose claim was cancelled claims again and gets a wrong answer."""
    due = Outcome.ALREADY_CLAIMED if user in done else Outcome.CLAIMED
    return await context.claim(COUPON, user) is not due


BEFORE_THE_SEND = "before the send"
IN_THE_COMMIT = "in the commit"


def _moments(
    context: DrillContext, observer: Database
) -> dict[str, Callable[[], AbstractAsyncContextManager[Fault]]]:
    """Return when claims are cancelled, and the fault that holds them there."""
    return {
        BEFORE_THE_SEND: lambda: drained_pool(context.service.database),
        "in the lock wait": lambda: held_row(observer, COUPON),
        "in the statement": lambda: stopped_at(Point.AFTER_INSERT, observer),
        IN_THE_COMMIT: lambda: stopped_at(Point.COMMIT, observer),
    }


async def _all_there(moment: str, context: DrillContext, backends: Backends, number: int) -> None:
    if moment != BEFORE_THE_SEND:
        # The other claims wait in the client, after these.
        await backends.until_waiting(min(number, context.service.strategy.max_per_coupon))
        return
    while not context.service.pool_stats().waiting:
        await asyncio.sleep(0)


async def _cancelled(claims: list[asyncio.Task[Outcome]], at_once: float) -> float:
    """Cancel all claims; return the seconds until the last has ended, at most about `at_once`."""
    began = perf_counter()
    for claim in claims:
        claim.cancel()
    await asyncio.wait(claims, timeout=at_once)
    return perf_counter() - began


CONNECTION_DROP = Drill(
    name="connection-drop",
    title="backends are terminated mid-claim, commits and their answers are lost",
    promise="no claim is half done, no answer is a guess, and the next claims find healthy connections",
    blast_radius="its own schema, pool and backends, which it terminates; a proxy on a private socket",
    parameters=Drops,
    attack=_drop_connections,
    faults=(
        *(f"stopped {point.words}" for point in INSIDE),
        *(f"commit {lost.value}" for lost in Lost),
        "stopped commit",
    ),
    pools=2,
)

PARTIAL_FAILURE = Drill(
    name="partial-failure",
    title="the insert, the decrement or the commit fails",
    promise="nothing of the claim remains, and the next one works",
    blast_radius="its own schema, where triggers fail, and pool",
    parameters=Failures,
    attack=_fail_halfway,
    faults=("failing after lock", "failing after update", "failing commit"),
)

DEADLOCK = Drill(
    name="deadlock",
    title="10 users and 2 units, then two transactions that lock each other out",
    promise="the sale is exact, the victim is refused cleanly, and nothing hangs",
    blast_radius="its own schema and pool",
    parameters=Deadlock,
    attack=_lock_in_opposite_order,
    faults=("opposite lock order", "deadlock after update"),
)

CANCELLATION = Drill(
    name="cancellation",
    title="claims are cancelled at every moment",
    promise="each ends at once, nothing is half done, and the next claims work",
    blast_radius="its own schema, where triggers hold claims, and pool",
    parameters=Cancellations,
    attack=_cancel_claims,
    faults=("drained pool", "held row lock", "stopped after insert", "stopped commit"),
)
