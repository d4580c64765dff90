"""Databases with rules of their own: every answer is what the tables say afterwards, by every strategy."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import CouponExists, NoPrivilege, RefusedByDatabase
from couponctl.ledger.claims.batch import Batches
from couponctl.ledger.claims.plain_tables import PlainTables
from couponctl.models import Outcome
from couponctl.postgres.database import open_database
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService
from tests.support.rules_of_their_own import (
    AUTO_VIEW,
    BROKEN_TRIGGER,
    CASE_BLIND_KEY,
    CHECK,
    CITEXT,
    DEFERRABLE_KEY,
    DEFERRED_KEY,
    DOMAIN,
    ELSEWHERE,
    IN_LOWER_CASE,
    KEEPS_OUT,
    LATE_RULE,
    NARROW,
    ONE_COUPON_A_USER,
    OWN_SQLSTATE,
    PARTITIONED,
    RAISES,
    RULE_INSTEAD,
    before_insert,
)
from tests.support.waiting import DEADLINE, PATIENT, until

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from couponctl.ledger.claims import Strategy
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.service import Attempt
    from tests.conftest import Role

CLAIMED, ALREADY, SOLD_OUT, REFUSED = (
    Outcome.CLAIMED,
    Outcome.ALREADY_CLAIMED,
    Outcome.SOLD_OUT,
    Outcome.REFUSED,
)

LOCK_WAITS = """
    SELECT count(*) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'couponctl/test' AND wait_event_type = 'Lock'
"""

PLAIN = [("Alice", CLAIMED), ("Alice", ALREADY), ("alice", CLAIMED), ("bob", CLAIMED), ("carol", SOLD_OUT)]
BLIND = [("Alice", CLAIMED), ("alice", ALREADY), ("ALICE", ALREADY), ("bob", CLAIMED), ("carol", CLAIMED)]
NO_BAD = [("bad 1", REFUSED), ("Alice", CLAIMED), ("bad 2", REFUSED), ("bob", CLAIMED), ("Alice", ALREADY)]

STORIES: dict[str, tuple[str, list[tuple[str, Outcome]]]] = {
    "plain": ("SELECT", PLAIN),
    "a trigger keeps some out": (KEEPS_OUT, NO_BAD),
    "a trigger writes in lower case": (IN_LOWER_CASE, [*BLIND, ("dora", SOLD_OUT), ("ALICE", ALREADY)]),
    "a trigger puts rows elsewhere": (ELSEWHERE, PLAIN),
    "a trigger raises": (RAISES, NO_BAD),
    "a trigger raises a code of its own": (OWN_SQLSTATE, NO_BAD),
    "a trigger calls what is gone": (BROKEN_TRIGGER, NO_BAD),
    "a deferred trigger raises": (LATE_RULE, NO_BAD),
    "a rule does nothing instead": (RULE_INSTEAD, NO_BAD),
    "citext": (CITEXT, [*BLIND, ("dora", SOLD_OUT), ("ALICE", ALREADY)]),
    "a key blind to case": (CASE_BLIND_KEY, [*BLIND, ("dora", SOLD_OUT), ("ALICE", ALREADY)]),
    "a deferrable key": (DEFERRABLE_KEY, PLAIN),
    "a deferred key": (DEFERRED_KEY, PLAIN),
    "a narrow column": (NARROW, [("Alice", CLAIMED), ("much too long", REFUSED), ("bob", CLAIMED)]),
    "a check": (CHECK, NO_BAD),
    "a domain": (DOMAIN, NO_BAD),
    "partitions": (PARTITIONED, PLAIN),
    "a view": (AUTO_VIEW, PLAIN),
    "text": ("ALTER TABLE claims ALTER user_id TYPE text; ALTER TABLE coupons ALTER name TYPE text", PLAIN),
    "numeric amounts": (
        "ALTER TABLE coupons ALTER amount TYPE numeric, ALTER remaining_amount TYPE bigint",
        PLAIN,
    ),
}


@pytest.fixture
def service(database: Database, strategy: Strategy) -> CouponService:
    return CouponService(database, strategy=strategy)


async def ledger(session: asyncpg.Connection, coupon: str = "SPRING") -> tuple[int, Counter[str]]:
    """Units left, and how many claims each user has, as the table spells them."""
    left = await session.fetchval("SELECT remaining_amount FROM coupons WHERE name = $1", coupon)
    rows = await session.fetch("SELECT user_id::text FROM claims WHERE coupon_name = $1", coupon)
    return int(left), Counter(row[0] for row in rows)


async def check(session: asyncpg.Connection, told: Sequence[Attempt], amount: int = 3) -> None:
    """Units and claims agree, and nobody was told otherwise than the table says."""
    left, claims = await ledger(session)
    wins = sum(attempt.outcome is CLAIMED for attempt in told)
    assert left == amount - claims.total() == amount - wins
    assert set(claims.values()) <= {1}
    owners = {user.casefold() for user in claims}
    for attempt in told:
        if attempt.outcome in {CLAIMED, ALREADY}:
            assert attempt.user_id.casefold() in owners
        elif attempt.outcome is SOLD_OUT:
            assert left == 0


@pytest.mark.parametrize("rules", STORIES)
async def test_one_after_the_other(
    service: CouponService, other_session: asyncpg.Connection, rules: str
) -> None:
    ddl, story = STORIES[rules]
    await other_session.execute(ddl)
    await service.create("SPRING", 3)

    told = [await service.claim("SPRING", user) for user, _ in story]

    assert [(attempt.user_id, attempt.outcome) for attempt in told] == story
    await check(other_session, told)


@pytest.mark.parametrize("rules", STORIES)
async def test_all_at_once_in_their_order(
    service: CouponService, other_session: asyncpg.Connection, rules: str
) -> None:
    ddl, story = STORIES[rules]
    await other_session.execute(ddl)
    await service.create("SPRING", 3)

    told = await asyncio.gather(*(service.claim("SPRING", user) for user, _ in story))

    await check(other_session, told)
    if service.strategy.name == "batched":
        assert [(attempt.user_id, attempt.outcome) for attempt in told] == story


@pytest.mark.parametrize("rules", STORIES)
async def test_a_list(database: Database, other_session: asyncpg.Connection, rules: str) -> None:
    ddl, story = STORIES[rules]
    service = CouponService(database)
    await other_session.execute(ddl)
    await service.create("SPRING", 3)
    told: list[Attempt] = []

    await service.claim_many("SPRING", [user for user, _ in story], told.extend)

    assert [(attempt.user_id, attempt.outcome) for attempt in told] == story
    await check(other_session, told)


@pytest.mark.parametrize("rules", ["a trigger writes in lower case", "a key blind to case"])
async def test_in_a_schema_that_the_search_path_does_not_name(
    strategy: Strategy, server: Server, limits: Limits, other_session: asyncpg.Connection, rules: str
) -> None:
    ddl, story = STORIES[rules]
    await other_session.execute(f"{ddl}; CREATE SCHEMA shop")
    await other_session.execute("ALTER TABLE coupons SET SCHEMA shop; ALTER TABLE claims SET SCHEMA shop")
    async with open_database(server, limits, application="couponctl/test", schema="shop") as database:
        service = CouponService(database, strategy=strategy)
        await service.create("SPRING", 3)

        told = [await service.claim("SPRING", user) for user, _ in story]

    assert [(attempt.user_id, attempt.outcome) for attempt in told] == story


@pytest.mark.parametrize("rules", ["SELECT", KEEPS_OUT], ids=["plain", "keeps out"])
async def test_claims_on_a_held_coupon_leave_connections_to_the_others(
    server: Server,
    strategy: Strategy,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
    rules: str,
) -> None:
    await other_session.execute(rules)
    async with open_database(server, PATIENT, application="couponctl/test") as database:
        service = CouponService(database, strategy=strategy)
        for coupon in ("SPRING", "SUMMER"):
            await service.create(coupon, 9)
        async with other_session.transaction():
            await other_session.execute("SELECT FROM coupons WHERE name = 'SPRING' FOR UPDATE")
            held = [asyncio.create_task(service.claim("SPRING", f"user-{n}")) for n in range(9)]
            await until(lambda: observer.fetchval(LOCK_WAITS), strategy.max_per_coupon)

            async with asyncio.timeout(DEADLINE):
                assert (await service.claim("SUMMER", "alice")).outcome is CLAIMED
        assert [attempt.outcome for attempt in await asyncio.gather(*held)] == [CLAIMED] * 9


@pytest.mark.parametrize("rules", [KEEPS_OUT, RAISES, IN_LOWER_CASE], ids=["keeps out", "raises", "lower"])
async def test_a_rule_that_comes_in_the_middle_of_the_sale(
    service: CouponService, other_session: asyncpg.Connection, rules: str
) -> None:
    await service.create("SPRING", 9)
    told = [await service.claim("SPRING", "before")]
    await other_session.execute(rules)

    users = ["Alice", "bad 1", "ALICE", "bob", "before"]
    told += await asyncio.gather(*(service.claim("SPRING", user) for user in users))

    await check(other_session, told, amount=9)


async def test_whom_such_a_rule_keeps_out_of_a_batch_is_refused_and_the_rule_is_known_from_then_on(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await CouponService(database).create("SPRING", 9)
    shape = PlainTables(database)
    batches = Batches(database, "SPRING", shape)
    assert await batches.claim(["before"]) == [CLAIMED]
    assert shape.plain
    await other_session.execute(KEEPS_OUT)

    alice, bad, bob = await batches.claim(["alice", "bad 1", "bob"])

    assert (alice, bob) == (CLAIMED, CLAIMED)
    assert isinstance(bad, RefusedByDatabase)
    assert await ledger(other_session) == (6, {"before": 1, "alice": 1, "bob": 1})
    assert shape.plain is False


@pytest.mark.parametrize("rules", ["SELECT", KEEPS_OUT, RAISES], ids=["plain", "keeps out", "raises"])
async def test_nobody_gets_what_is_sold_out_and_nobody_is_refused_it(
    service: CouponService, other_session: asyncpg.Connection, rules: str
) -> None:
    """Nor where no rule of the tables holds the units."""
    await other_session.execute(rules)
    await other_session.execute("ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount")
    await service.create("SPRING", 1)

    told = [await service.claim("SPRING", user) for user in ("alice", "bad 1", "bob", "alice")]

    assert [attempt.outcome for attempt in told] == [CLAIMED, SOLD_OUT, SOLD_OUT, ALREADY]
    await check(other_session, told, amount=1)


async def test_whoever_is_kept_out_is_told_by_what(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(KEEPS_OUT)
    await service.create("SPRING", 3)

    refusal = (await service.claim("SPRING", "bad 1")).refusal

    assert "a trigger or rule kept it out" in str(refusal)


async def test_an_unknown_coupon_is_not_found_whatever_the_rules(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(KEEPS_OUT)

    told = await asyncio.gather(*(service.claim("NEVER", user) for user in ("alice", "bob")))

    assert [attempt.outcome for attempt in told] == [Outcome.NOT_FOUND] * 2


async def test_one_coupon_a_user_is_no_claim_of_this_coupon(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(ONE_COUPON_A_USER)
    await service.create("OTHER", 3)
    await service.create("SPRING", 1)
    await service.claim("OTHER", "alice")

    told = [await service.claim("SPRING", user) for user in ("alice", "bob", "alice", "carol")]

    assert [attempt.outcome for attempt in told] == [REFUSED, CLAIMED, SOLD_OUT, SOLD_OUT]
    assert "one_coupon_a_user" in str(told[0].refusal)
    await check(other_session, told, amount=1)


async def test_the_words_of_a_trigger_are_passed_on_escaped(
    service: CouponService, other_session: asyncpg.Connection
) -> None:
    words = "'not\x1b[31m today, 100 % sure.'"
    await other_session.execute(before_insert(f"RAISE EXCEPTION {words.replace('%', '%%')}; RETURN NEW;"))
    await service.create("SPRING", 3)

    refusal = (await service.claim("SPRING", "alice")).refusal

    assert isinstance(refusal, RefusedByDatabase)
    assert refusal.message == ('The database refused "alice" for "SPRING": not\x1b[31m today, 100 % sure.')


@pytest.mark.parametrize(
    ("ddl", "again", "expected"),
    [
        (before_insert("RETURN NULL;", "coupons"), "SPRING", RefusedByDatabase),
        (before_insert("RAISE EXCEPTION 'no'; RETURN NEW;", "coupons"), "SPRING", RefusedByDatabase),
        ("ALTER TABLE coupons ADD region text NOT NULL", "SPRING", RefusedByDatabase),
        ("ALTER TABLE coupons ADD n int DEFAULT 1 UNIQUE", "SUMMER", RefusedByDatabase),
        ("SELECT", "SPRING", CouponExists),
        ("CREATE UNIQUE INDEX ON coupons (lower(name))", "spring", RefusedByDatabase),
        (CITEXT, "spring", CouponExists),
    ],
    ids=["kept out", "raises", "not null", "another key", "plain", "expression", "citext"],
)
async def test_a_coupon_exists_only_where_it_can_be_shown(
    service: CouponService,
    other_session: asyncpg.Connection,
    ddl: str,
    again: str,
    expected: type[Exception],
) -> None:
    await other_session.execute(ddl)

    async def create_twice() -> None:
        await service.create("SPRING", 3)
        await service.create(again, 3)

    with pytest.raises(expected) as refused:
        await create_twice()

    if refused.type is CouponExists:
        assert (await service.show(again)).coupon.name == "SPRING"
    else:
        assert '"' in str(refused.value)


async def test_a_coupon_that_may_be_seen_but_not_locked_is_not_sold_out(
    strategy: Strategy, other_session: asyncpg.Connection, role: Role, limits: Limits
) -> None:
    await other_session.execute("""
        GRANT SELECT, INSERT, UPDATE ON coupons, claims TO PUBLIC;
        ALTER TABLE coupons ENABLE ROW LEVEL SECURITY;
        CREATE POLICY to_see ON coupons FOR SELECT USING (true);
        INSERT INTO coupons VALUES ('SPRING', 1, 1);
    """)
    clerk = server_at(await asyncio.to_thread(role), source="the test")
    async with open_database(clerk, limits, application="couponctl/test") as database:
        with pytest.raises(NoPrivilege):
            await CouponService(database, strategy=strategy).claim("SPRING", "alice")

    assert await ledger(other_session) == (1, {})
