"""The rules of the tables are judged by what they do, however they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.ledger.rules import Standing, judged
from couponctl.service import CouponService

if TYPE_CHECKING:
    import asyncpg

    from couponctl.ledger.rules import Rule
    from couponctl.models import Coupon
    from couponctl.postgres.database import Database

NAMES, ONE_A_USER, STOCK, REFERENCE = range(4)

HELD, MISSING, TOO_STRICT, NOT_TOLD = Standing

NO_CHECK = "ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount;"
NO_NAME = "ALTER TABLE coupons DROP CONSTRAINT coupons_pkey CASCADE;"
NO_PAIR = "ALTER TABLE claims DROP CONSTRAINT claims_pkey;"
NO_REFERENCE = "ALTER TABLE claims DROP CONSTRAINT claims_coupon_name_fkey;"


async def rule(database: Database, session: asyncpg.Connection, ddl: str, number: int) -> Rule:
    await session.execute(ddl)
    return (await judged(database)).rules[number]


async def test_the_tables_of_the_ddl_hold_every_rule(database: Database) -> None:
    judgement = await judged(database)

    assert {rule.standing for rule in judgement.rules} == {HELD}


@pytest.mark.parametrize(
    ("check", "standing"),
    [
        ("0 <= remaining_amount", HELD),
        ("remaining_amount > -1", HELD),
        ("NOT remaining_amount < 0", HELD),
        ("remaining_amount BETWEEN 0 AND amount", HELD),
        ("least(remaining_amount, 0) = 0", HELD),
        ("remaining_amount >= 0 AND name <> ''", HELD),
        ("remaining_amount >= 0 OR name IS NULL", NOT_TOLD),
        ("remaining_amount >= 0 OR name IS NOT NULL", NOT_TOLD),
        ("remaining_amount >= 0 OR coalesce(name, '') = ''", NOT_TOLD),
        ("amount <= 5000 AND remaining_amount >= 0", HELD),
        ("CASE WHEN amount > 100 THEN remaining_amount >= 0 ELSE remaining_amount > -1 END", HELD),
        ("remaining_amount >= 0 OR amount > 0", MISSING),
        ("remaining_amount >= 0 OR amount > 1000", MISSING),
        ("remaining_amount >= -1", MISSING),
        ("remaining_amount <> -1", MISSING),
        ("amount = 5 AND remaining_amount < 100", NOT_TOLD),
        ("remaining_amount <= amount", MISSING),
        ("amount >= 0", MISSING),
        ("remaining_amount >= 0 OR name LIKE 'BACKORDER%'", NOT_TOLD),
        ("remaining_amount >= 0 OR tableoid = 0", NOT_TOLD),
    ],
)
async def test_a_check_is_what_it_refuses(
    database: Database, other_session: asyncpg.Connection, check: str, standing: Standing
) -> None:
    found = await rule(
        database, other_session, f"{NO_CHECK} ALTER TABLE coupons ADD CHECK ({check}\n)", STOCK
    )

    assert found.standing is standing, found


@pytest.mark.parametrize("kind", ["numeric", "numeric(9, 0)", "bigint", "smallint", "double precision"])
@pytest.mark.parametrize(("check", "standing"), [("remaining_amount >= 0", HELD), ("true", MISSING)])
async def test_the_type_of_the_numbers_does_not_matter(
    database: Database, other_session: asyncpg.Connection, kind: str, check: str, standing: Standing
) -> None:
    ddl = (
        f"{NO_CHECK} ALTER TABLE coupons ALTER amount TYPE {kind}, ALTER remaining_amount TYPE {kind};"
        f"ALTER TABLE coupons ADD CHECK ({check})"
    )

    assert (await rule(database, other_session, ddl, STOCK)).standing is standing


@pytest.mark.parametrize(
    ("domain", "standing"),
    [
        ("CREATE DOMAIN stock AS integer CHECK (VALUE >= 0)", HELD),
        ("CREATE DOMAIN few AS numeric(9) CHECK (VALUE > -1); CREATE DOMAIN stock AS few NOT NULL", HELD),
        ("CREATE DOMAIN stock AS integer CHECK (VALUE < 100)", MISSING),
    ],
)
async def test_a_domain_counts(
    database: Database, other_session: asyncpg.Connection, domain: str, standing: Standing
) -> None:
    ddl = f"{domain}; {NO_CHECK} ALTER TABLE coupons ALTER remaining_amount TYPE stock"

    assert (await rule(database, other_session, ddl, STOCK)).standing is standing


@pytest.mark.parametrize(
    ("ddl", "standing"),
    [
        ("ADD ok boolean GENERATED ALWAYS AS (remaining_amount >= 0) STORED, ADD CHECK (ok)", HELD),
        ("ADD value text NOT NULL DEFAULT '', ADD units int, ADD CHECK (remaining_amount >= 0)", HELD),
        ("ADD value integer, ADD amounts integer, ADD CHECK (remaining_amount >= 0 OR value = 1)", NOT_TOLD),
        ("ADD CHECK (remaining_amount >= 0 OR coupons IS NULL)", NOT_TOLD),
        ("ADD CHECK (remaining_amount >= 0) NOT VALID", HELD),
    ],
)
async def test_other_columns_do_not_get_in_the_way(
    database: Database, other_session: asyncpg.Connection, ddl: str, standing: Standing
) -> None:
    found = await rule(database, other_session, f"{NO_CHECK} ALTER TABLE coupons {ddl}", STOCK)

    assert found.standing is standing, found


@pytest.mark.parametrize(
    ("function", "standing"),
    [
        ("IMMUTABLE LANGUAGE sql AS 'SELECT $1 >= 0'", HELD),
        ("IMMUTABLE LANGUAGE sql AS 'SELECT $1 >= -1'", MISSING),
        ("LANGUAGE sql AS 'SELECT $1 >= 0'", NOT_TOLD),
        ("IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'", NOT_TOLD),
    ],
)
async def test_a_function_is_asked_unless_it_may_do_more_than_look(
    database: Database, other_session: asyncpg.Connection, function: str, standing: Standing
) -> None:
    ddl = (
        f"{NO_CHECK} CREATE FUNCTION sound(integer) RETURNS boolean {function};"
        "ALTER TABLE coupons ADD CHECK (sound(remaining_amount))"
    )

    assert (await rule(database, other_session, ddl, STOCK)).standing is standing


@pytest.mark.parametrize(
    "check", ["nextval('seen') > remaining_amount", "7::bigint @-@ 'seen'::regclass > remaining_amount"]
)
async def test_a_check_with_side_effects_is_not_run(
    database: Database, other_session: asyncpg.Connection, check: str
) -> None:
    found = await rule(
        database,
        other_session,
        "CREATE SEQUENCE seen; CREATE FUNCTION put(bigint, regclass) RETURNS bigint LANGUAGE sql "
        "AS 'SELECT setval($2, $1)';"
        "CREATE OPERATOR @-@ (LEFTARG = bigint, RIGHTARG = regclass, FUNCTION = put);"
        f"{NO_CHECK} ALTER TABLE coupons ADD CHECK ({check})",
        STOCK,
    )

    assert found.standing is NOT_TOLD
    assert not await other_session.fetchval("SELECT is_called FROM seen")


@pytest.mark.parametrize(
    ("ddl", "standing"),
    [
        ("CREATE UNIQUE INDEX ON coupons (lower(name))", HELD),
        (f"{NO_NAME} ALTER TABLE coupons ADD PRIMARY KEY (name) INCLUDE (amount)", HELD),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (name)", HELD),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (name, amount)", MISSING),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (amount) INCLUDE (name)", MISSING),
        (f"{NO_NAME} CREATE INDEX ON coupons (name)", MISSING),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (name) WHERE amount > 5", MISSING),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (name) WHERE name <> ''", NOT_TOLD),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (lower(name))", NOT_TOLD),
        (f"{NO_NAME} CREATE UNIQUE INDEX ON coupons (lower(name), amount)", MISSING),
        (f"{NO_NAME} ALTER TABLE coupons ADD EXCLUDE USING btree (name WITH =)", NOT_TOLD),
        (f"{NO_NAME} ALTER TABLE coupons ADD UNIQUE (name) DEFERRABLE", HELD),
    ],
)
async def test_a_key_on_names_is_what_it_compares(
    database: Database, other_session: asyncpg.Connection, ddl: str, standing: Standing
) -> None:
    found = await rule(database, other_session, ddl, NAMES)

    assert found.standing is standing, found


@pytest.mark.parametrize(
    ("ddl", "standing"),
    [
        (f"{NO_PAIR} ALTER TABLE claims ADD id serial PRIMARY KEY, ADD UNIQUE (user_id, coupon_name)", HELD),
        (f"{NO_PAIR} ALTER TABLE claims ADD UNIQUE (user_id, coupon_name) INCLUDE (created_at)", HELD),
        (f"{NO_PAIR} ALTER TABLE claims ADD id serial PRIMARY KEY", MISSING),
        (f"{NO_PAIR} CREATE UNIQUE INDEX ON claims (coupon_name, user_id, created_at)", MISSING),
        (
            f"{NO_PAIR} CREATE UNIQUE INDEX ON claims (coupon_name, user_id) WHERE created_at > now0()",
            MISSING,
        ),
        (f"{NO_PAIR} ALTER TABLE claims ADD UNIQUE (coupon_name) INCLUDE (user_id)", TOO_STRICT),
        ("ALTER TABLE claims ADD UNIQUE (coupon_name)", TOO_STRICT),
        ("CREATE UNIQUE INDEX ON claims (user_id)", TOO_STRICT),
        (f"{NO_PAIR} ALTER TABLE claims ADD PRIMARY KEY (coupon_name, user_id) DEFERRABLE", HELD),
        ("ALTER TABLE claims ADD at int, ADD UNIQUE (at) DEFERRABLE INITIALLY DEFERRED", HELD),
    ],
)
async def test_a_key_on_claims_is_what_it_compares(
    database: Database, other_session: asyncpg.Connection, ddl: str, standing: Standing
) -> None:
    await other_session.execute(
        "CREATE FUNCTION now0() RETURNS timestamptz IMMUTABLE LANGUAGE sql "
        "AS $$ SELECT timestamptz 'epoch' $$"
    )
    found = await rule(database, other_session, ddl, ONE_A_USER)

    assert found.standing is standing, found


async def test_the_remedy_of_a_key_that_is_too_strict_helps(
    service: CouponService, coupon: Coupon, database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("ALTER TABLE claims ADD UNIQUE (coupon_name)")
    assert [(await service.claim(coupon.name, user)).outcome for user in "ab"] == ["claimed", "refused"]
    (strict,) = (await judged(database)).of(TOO_STRICT)
    await other_session.execute(strict.remedy)

    assert not (await judged(database)).of(TOO_STRICT)
    assert (await service.claim(coupon.name, "b")).outcome == "claimed"
    assert (await service.verify()).ok


@pytest.mark.parametrize(
    ("ddl", "standing"),
    [
        ("ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name) NOT VALID", HELD),
        ("ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name) DEFERRABLE INITIALLY DEFERRED", HELD),
        ("ADD FOREIGN KEY (user_id) REFERENCES coupons (name)", MISSING),
        ("ADD t int, ADD FOREIGN KEY (coupon_name, t) REFERENCES coupons (name, amount)", NOT_TOLD),
        ("ADD t int NOT NULL, ADD FOREIGN KEY (t, coupon_name) REFERENCES coupons (amount, name)", HELD),
        (
            "ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name); ALTER TABLE claims DISABLE TRIGGER ALL",
            MISSING,
        ),
    ],
)
async def test_a_foreign_key_is_what_it_refers_to(
    database: Database, other_session: asyncpg.Connection, ddl: str, standing: Standing
) -> None:
    await other_session.execute("CREATE UNIQUE INDEX ON coupons (name, amount)")

    found = await rule(database, other_session, f"{NO_REFERENCE} ALTER TABLE claims {ddl}", REFERENCE)

    assert found.standing is standing, found


async def test_what_is_not_enforced_is_missing(database: Database, other_session: asyncpg.Connection) -> None:
    if other_session.get_server_version().major < 18:
        pytest.skip("NOT ENFORCED is of PostgreSQL 18")
    await other_session.execute(
        f"{NO_CHECK} ALTER TABLE coupons ADD CHECK (remaining_amount >= 0) NOT ENFORCED; {NO_REFERENCE}"
        "ALTER TABLE claims ADD FOREIGN KEY (coupon_name) REFERENCES coupons (name) NOT ENFORCED"
    )

    assert [rule.standing for rule in (await judged(database)).rules] == [HELD, HELD, MISSING, MISSING]


async def test_triggers_may_keep_a_rule(database: Database, other_session: asyncpg.Connection) -> None:
    await other_session.execute(
        f"{NO_CHECK} CREATE SEQUENCE fired; CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM nextval('fired');"
        "IF NEW.remaining_amount < 0 THEN RAISE 'no'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER keep BEFORE INSERT OR UPDATE ON coupons FOR EACH ROW EXECUTE FUNCTION keep()"
    )

    found = (await judged(database)).rules[STOCK]
    assert found.standing is NOT_TOLD
    assert "a trigger" in found.problem
    assert not await other_session.fetchval("SELECT is_called FROM fired")

    await other_session.execute("ALTER TABLE coupons DISABLE TRIGGER keep")
    assert (await judged(database)).rules[STOCK].standing is MISSING


async def test_views_are_not_judged(database: Database, other_session: asyncpg.Connection) -> None:
    await other_session.execute(
        "ALTER TABLE coupons RENAME TO c; ALTER TABLE claims RENAME TO d;"
        "CREATE VIEW coupons AS SELECT * FROM c; CREATE VIEW claims AS SELECT * FROM d"
    )

    judgement = await judged(database)
    assert [rule.standing for rule in judgement.rules] == [NOT_TOLD] * 4
    assert all("is a view" in rule.problem for rule in judgement.rules)


PARTITIONED = """
    DROP TABLE claims, coupons;
    CREATE TABLE coupons (name varchar(255) NOT NULL, amount int NOT NULL, remaining_amount int NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(){coupons}) PARTITION BY HASH (name);
    CREATE TABLE c0 PARTITION OF coupons FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    CREATE TABLE claims (coupon_name varchar(255) NOT NULL, user_id varchar(255) NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(){claims}) PARTITION BY HASH (coupon_name);
    CREATE TABLE d0 PARTITION OF claims FOR VALUES WITH (MODULUS 1, REMAINDER 0);
"""


async def test_partitioned_tables_have_rules_too(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(
        PARTITIONED.format(
            coupons=", PRIMARY KEY (name), CHECK (remaining_amount > -1)",
            claims=", PRIMARY KEY (coupon_name, user_id), FOREIGN KEY (coupon_name) REFERENCES coupons",
        )
    )
    service = CouponService(database)
    await service.create("SPRING", 1)

    assert (await service.claim("SPRING", "alice")).outcome == "claimed"
    assert {rule.standing for rule in (await judged(database)).rules} == {HELD}


async def test_what_only_the_partitions_have_is_not_judged(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(PARTITIONED.format(coupons="", claims=""))
    assert {rule.standing for rule in (await judged(database)).rules} == {MISSING}

    await other_session.execute(
        "ALTER TABLE c0 ADD PRIMARY KEY (name), ADD CHECK (remaining_amount >= 0);"
        "ALTER TABLE d0 ADD PRIMARY KEY (coupon_name, user_id)"
    )
    assert {rule.standing for rule in (await judged(database)).rules} == {NOT_TOLD}


async def test_tables_that_inherit_have_keys_of_their_own(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(
        "CREATE TABLE more () INHERITS (coupons); CREATE TABLE others () INHERITS (claims)"
    )

    standings = [rule.standing for rule in (await judged(database)).rules]
    assert standings == [NOT_TOLD, NOT_TOLD, HELD, NOT_TOLD]

    await other_session.execute(
        f"{NO_CHECK} ALTER TABLE coupons ADD CHECK (remaining_amount >= 0) NO INHERIT"
    )
    assert (await judged(database)).rules[STOCK].standing is NOT_TOLD


async def test_a_sale_goes_on_while_the_rules_are_judged(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(
        "BEGIN; INSERT INTO coupons VALUES ('A', 1, 1); LOCK coupons IN EXCLUSIVE MODE"
    )

    assert {rule.standing for rule in (await judged(database)).rules} == {HELD}


async def test_the_words_of_a_database_do_not_matter(
    database: Database, other_session: asyncpg.Connection
) -> None:
    name = await other_session.fetchval("SELECT current_database()")
    await other_session.execute(f"ALTER DATABASE {name} SET quote_all_identifiers = on")

    assert {rule.standing for rule in (await judged(database)).rules} == {HELD}
