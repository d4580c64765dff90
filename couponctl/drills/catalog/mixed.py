"""Mixed work: concurrent operations, a coupon created during its storm, rounds that must not leak."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from couponctl.aio.cancellation import gather_all, task_group
from couponctl.drills.check import Check, equals, none_of
from couponctl.drills.context import StartLine, service_call
from couponctl.drills.drill import Drill, Parameters, parameter
from couponctl.drills.faults.database import Backends, held_row
from couponctl.drills.leaks import footprint, resident_memory
from couponctl.errors import CouponctlError, CouponExists, CouponNotFound
from couponctl.models import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from couponctl.drills.context import DrillContext
    from couponctl.postgres.database import Database
    from couponctl.postgres.limits import Limits

_QUIET = "its own schema and pool"


@dataclass(frozen=True, kw_only=True)
class Mixture(Parameters):
    n: int = parameter(50, "operations: a fifth creates, half claims, the rest shows")
    coupons: int = parameter(3, "coupons that are there before")
    stock: int = parameter(100, "units of each")


async def _mix(context: DrillContext, mixture: Mixture) -> list[Check]:
    base = [f"BASE-{number}" for number in range(1, mixture.coupons + 1)]
    for name in base:
        await context.create(name, mixture.stock)
    drawn = _draw(context, mixture, base)
    line = StartLine(len(drawn))

    async def do(operation: tuple[str, str, str]) -> str:
        await line.wait()
        return await _operate(context, mixture.stock, *operation)

    answers = Counter(await gather_all(*(do(operation) for operation in drawn)))
    more = [*await _sell_what_is_drawn(context), *await _claim_lists(context), *await _ask_meanwhile(context)]
    return [*more, *_mixture_checks(drawn, answers)]


def _mixture_checks(drawn: list[tuple[str, str, str]], answers: Counter[str]) -> list[Check]:
    claims = {operation for operation in drawn if operation[0] == "claim"}
    creates = {operation for operation in drawn if operation[0] == "create"}
    expected = Counter(operation[0] for operation in drawn)
    return [
        equals("creates-won", "new coupons created", len(creates), answers["created"]),
        equals(
            "creates-refused",
            'repeated creates that get "exists"',
            expected["create"] - len(creates),
            answers["exists"],
        ),
        equals("claims-won", "claims won, one for each user and coupon", len(claims), answers["claimed"]),
        equals(
            "claims-refused",
            'repeated claims that get "already claimed"',
            expected["claim"] - len(claims),
            answers["already_claimed"],
        ),
        equals(
            "shows", "shows that found their coupon, within its stock", expected["show"], answers["shown"]
        ),
        equals(
            "expected-answers",
            "operations with an expected answer",
            len(drawn),
            sum(answers[each] for each in _EXPECTED),
        ),
    ]


async def _sell_what_is_drawn(context: DrillContext) -> list[Check]:
    """Sell a random number of units, which no code can special-case; the first users claim three times.

    The second time there are units for them and for as many others, the third time there are not enough.
    """
    stock = context.random.randint(11, 60)
    users = [f"user-{number}" for number in range(1, stock + context.random.randint(100, 130))]
    early = context.random.randint(1, stock // 3)
    await context.create("DRAWN", stock)
    for wave in (users[:early], users[: 2 * early], users):
        await context.storm("DRAWN", wave)
    told = Counter(entry.outcome for entry in context.journal.of("DRAWN"))
    return [
        equals("drawn-sale-claimed", "claims won in a sale of drawn size", stock, told[Outcome.CLAIMED]),
        equals(
            "drawn-sale-already-claimed",
            'claims made again in it that get "already claimed"',
            3 * early,
            told[Outcome.ALREADY_CLAIMED],
        ),
    ]


async def _claim_lists(context: DrillContext) -> list[Check]:
    """Claim for lists of users: some have a claim already, one is listed twice, and there are too few units.

    The first of the other users win. The last list is longer than what the service claims at once.
    """
    won, again, sold_out = Outcome.CLAIMED, Outcome.ALREADY_CLAIMED, Outcome.SOLD_OUT
    users = [f"listed-{number}" for number in range(1, 1041)]
    lists = {
        (*users[:5],): [won] * 5,
        (*users[:10],): [again] * 5 + [won] * 5,
        (*users[10:20], users[10]): [won] * 10 + [again],
        (*users[20:],): [won] * 1015 + [sold_out] * 5,
    }
    await context.create("LISTED", 1035)
    told = [answer for each in lists for answer in await context.claim_many("LISTED", each)]
    due = [
        (user, answer) for each, answers in lists.items() for user, answer in zip(each, answers, strict=True)
    ]
    wrong = [user for (user, right), answer in zip(due, told, strict=False) if right != answer]
    return [
        equals("list-answers", "answers to lists of users", len(due), len(told)),
        none_of("list-answers-wrong", "wrong answers to them", wrong),
        equals("list-of-no-coupon", "a list for no coupon gets", "not found", await _claim_unheard(context)),
    ]


async def _claim_unheard(context: DrillContext) -> str:
    try:
        with service_call("claim_many"):
            await context.service.claim_many("UNHEARD", ["listed-1"], lambda _: None)
    except CouponNotFound:
        return "not found"
    return "nothing"


async def _ask_meanwhile(context: DrillContext) -> list[Check]:
    """Read before and directly after a claim: the reads must know of it, and of one unit less."""
    stale = []
    users = [f"asking-{number}" for number in range(1, 4)]
    await context.create("ASKED", len(users))
    for number, user in enumerate(users):
        left = len(users) - number
        before = await _told(context, user)
        await context.claim("ASKED", user)
        after = await _told(context, user)
        if (before, after) != ((left, left, False, False), (left - 1, left - 1, True, True)):
            stale.append(user)
    return [none_of("answers-stale", "users whose claim list, show or find_claim did not know yet", stale)]


async def _told(context: DrillContext, user: str) -> tuple[int, ...]:
    """Return the stock by list and by show, and whether show and find_claim know the user's claim."""
    with service_call("list"):
        listed = sum(c.remaining_amount for c in (await context.service.list(matching="ASKED")).coupons)
    with service_call("show"):
        shown = await context.service.show("ASKED")
    with service_call("find_claim"):
        found = await context.service.find_claim("ASKED", user)
    return listed, shown.coupon.remaining_amount, user in shown.claimed_by, found is not None


_EXPECTED = ("created", "exists", "claimed", "already_claimed", "shown")


def _draw(context: DrillContext, mixture: Mixture, base: list[str]) -> list[tuple[str, str, str]]:
    """Draw (verb, coupon, user) tuples in a random order; names and users come up more than once."""
    chance = context.random
    creates, claims = mixture.n // 5, mixture.n // 2
    drawn = [("create", f"NEW-{chance.randint(1, max(1, creates))}", "") for _ in range(creates)]
    drawn += [("claim", chance.choice(base), f"user-{chance.randint(1, 20)}") for _ in range(claims)]
    drawn += [("show", chance.choice(base), "") for _ in range(mixture.n - creates - claims)]
    chance.shuffle(drawn)
    return drawn


async def _operate(context: DrillContext, stock: int, verb: str, coupon: str, user: str) -> str:
    try:
        if verb == "create":
            await context.create(coupon, stock)
            return "created"
        if verb == "claim":
            return (await context.claim(coupon, user)).value
        with service_call("show"):
            shown = (await context.service.show(coupon)).coupon
    except CouponctlError as exc:
        return exc.code
    return "shown" if 0 <= shown.remaining_amount <= shown.amount == stock else "shown beyond its stock"


@dataclass(frozen=True, kw_only=True)
class Birth(Parameters):
    n: int = parameter(30, "users at the same instant: half create the coupon, half claim it", at_least=2)
    stock: int = parameter(50, "units on sale")


async def _claim_the_unborn(context: DrillContext, birth: Birth) -> list[Check]:
    name = "UNBORN"
    too_early = await context.claim(name, "early bird")
    creators = birth.n // 2
    line = StartLine(birth.n)

    async def create() -> str:
        await line.wait()
        try:
            await context.create(name, birth.stock)
        except CouponExists:
            return "exists"
        return "created"

    async def claim(user: str) -> str:
        await line.wait()
        return (await context.claim(name, user)).value

    claimers = [f"user-{number}" for number in range(1, birth.n - creators + 1)]
    born = await gather_all(*(create() for _ in range(creators)), *map(claim, claimers))
    answers = Counter(born)
    came_too_early = [e.user_id for e in context.journal.entries if e.outcome is Outcome.NOT_FOUND]
    again = [await context.claim(name, user) for user in came_too_early]
    won = answers["claimed"] + again.count(Outcome.CLAIMED)
    ledger = await context.ledger(name)
    return [
        equals("claim-before-create", "a claim before any create gets", Outcome.NOT_FOUND, too_early),
        equals("creates-won", "creates won", 1, answers["created"]),
        equals("creates-refused", 'all other creates get "exists"', creators - 1, answers["exists"]),
        equals(
            "second-tries-won",
            "claims won on the second try by users who came before the coupon",
            len(again),
            again.count(Outcome.CLAIMED),
        ),
        equals(
            "claims-won", "claims won, as far as the stock goes", min(len(claimers) + 1, birth.stock), won
        ),
        equals("claims-in-ledger", "claims in the ledger", won, len(ledger.claimed_by)),
    ]


@dataclass(frozen=True, kw_only=True)
class Rounds(Parameters):
    pool_size: int = parameter(5, "connections in the drill's pool")
    rounds: int = parameter(5, "rounds of everything that could leak")
    n: int = parameter(10, "claims of each kind in a round")

    def limits(self, limits: Limits) -> Limits:
        return replace(super().limits(limits), lock_timeout=0.1)


async def _repeat(context: DrillContext, rounds: Rounds) -> list[Check]:
    await context.create("LEAKY", 10_000)
    await context.create("GONE", 1)
    await context.claim("GONE", "winner")
    leaks = []
    async with context.observer() as observer:
        await observer.warm()
        before = await footprint(observer, context.application)
        warm = 0
        for number in range(1, rounds.rounds + 1):
            for kind, work in _kinds(context, observer, rounds.n).items():
                await work(f"round {number}")
                after = await footprint(observer, context.application)
                leaks += [f"round {number} {kind}: {what}" for what in after.beyond(before)]
                if context.service.pool_stats().in_use:
                    leaks.append(f"round {number} {kind}: connections of the pool")
            warm = resident_memory() if number == 1 else warm
    outcomes = context.journal.tally()
    each = rounds.rounds * rounds.n
    return [
        none_of("left-after-a-round", "resources left after a round", leaks),
        _memory_check(resident_memory() - warm, claims=(rounds.rounds - 1) * rounds.n * 4),
        equals("claims-won", "claims won", each + 1, outcomes.get(Outcome.CLAIMED)),
        equals("claims-sold-out", "claims refused as sold out", each, outcomes.get(Outcome.SOLD_OUT)),
        equals("claims-timed-out", "claims timed out", each, outcomes.get(Outcome.TIMED_OUT)),
        equals("claims-cancelled", "claims cancelled", each, outcomes.get(Outcome.UNKNOWN)),
    ]


_MOST_MEMORY = 256
"""kB that a claim may leave; without a leak these are a journal entry and what the allocator keeps."""


def _memory_check(grown: int, claims: int) -> Check:
    """Check the memory per claim of the rounds after the first, in which caches fill."""
    each = max(0, grown) / 1000 / max(1, claims)
    most = f"at most {_MOST_MEMORY} kB"
    return Check("memory-left", "memory left by a claim", most, f"{each:.0f} kB", held=each <= _MOST_MEMORY)


def _kinds(context: DrillContext, observer: Database, n: int) -> dict[str, Callable[[str], Awaitable[None]]]:
    """Everything that could leak: claims won, refused, timed out and cancelled."""
    backends = Backends(observer, context.application)

    def claims(coupon: str, users: str) -> list[Coroutine[Any, Any, Outcome]]:
        return [context.claim(coupon, f"{users} {number}") for number in range(1, n + 1)]

    async def win(turn: str) -> None:
        await gather_all(*claims("LEAKY", f"{turn} wins"))

    async def refuse(turn: str) -> None:
        await gather_all(*claims("GONE", f"{turn} is late"))

    async def time_out(turn: str) -> None:
        async with context.fault(held_row(observer, "LEAKY")):
            await gather_all(*claims("LEAKY", f"{turn} times out"))

    async def cancel(turn: str) -> None:
        async with context.fault(held_row(observer, "LEAKY")), task_group() as group:
            tasks = [group.create_task(claim) for claim in claims("LEAKY", f"{turn} is cancelled")]
            await backends.until_waiting(1)
            for task in tasks:
                task.cancel()

    return {"won": win, "refused": refuse, "timed out": time_out, "cancelled": cancel}


MIXED_LOAD = Drill(
    name="mixed-load",
    title="50 random operations on three coupons",
    promise="every operation ends as expected: no orphan, no negative stock, no drift",
    blast_radius=_QUIET,
    parameters=Mixture,
    attack=_mix,
)

INTERLEAVE = Drill(
    name="interleave",
    title="half create a coupon while the other half claims it",
    promise="one create wins; claims before it find nothing, claims after it win",
    blast_radius=_QUIET,
    parameters=Birth,
    attack=_claim_the_unborn,
)

LEAK_CHECK = Drill(
    name="leak-check",
    title="rounds of claims won, refused, timed out and cancelled",
    promise="after every round all tasks, connections, descriptors and backends are back",
    blast_radius=_QUIET,
    parameters=Rounds,
    attack=_repeat,
    faults=("held row lock",),
)
