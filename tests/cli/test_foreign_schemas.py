"""Databases that others have made: every command on every shape, each outcome decided in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.rules_of_their_own import (
    AUTO_VIEW,
    BROKEN_TRIGGER,
    CASE_BLIND_KEY,
    CHECK,
    CITEXT,
    DEFERRABLE_KEY,
    DOMAIN,
    ELSEWHERE,
    IN_LOWER_CASE,
    KEEPS_OUT,
    LATE_RULE,
    NARROW,
    ONE_COUPON_A_USER,
    PARTITIONED,
    RAISES,
    RULE_INSTEAD,
)
from tests.support.sessions import run_script

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Couponctl

OLDER = """
    DROP TABLE claims; DROP TABLE coupons;
    CREATE TABLE coupons (name varchar(255) PRIMARY KEY, amount integer NOT NULL CHECK (amount > 0),
        remaining_amount integer NOT NULL CHECK (remaining_amount >= 0),
        created_at timestamptz DEFAULT now());
    CREATE TABLE claims (id serial PRIMARY KEY, user_id varchar(255) NOT NULL,
        coupon_name varchar(255) NOT NULL REFERENCES coupons (name), created_at timestamptz DEFAULT now(),
        UNIQUE (user_id, coupon_name))
"""
COMPUTED = """
    ALTER TABLE coupons DROP COLUMN remaining_amount;
    ALTER TABLE coupons ADD COLUMN remaining_amount integer GENERATED ALWAYS AS (amount) STORED
"""
NO_DDL = """
    CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no DDL here'; END $$;
    CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()
"""


AMOUNTS = "ALTER TABLE coupons ALTER amount TYPE {0}, ALTER remaining_amount TYPE {0}"
ANOTHER_CHECK = "ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount, ADD CHECK ({})"
INCLUDING = (
    "ALTER TABLE claims DROP CONSTRAINT claims_pkey, ADD UNIQUE (coupon_name, user_id) INCLUDE (created_at)"
)
QUOTED = """
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET quote_all_identifiers = on', current_database());
    END $$
"""
WITHOUT_IDENTITY = """
    CREATE PUBLICATION stock FOR TABLE coupons; ALTER TABLE coupons REPLICA IDENTITY NOTHING
"""
FAR_TIMES = """
    INSERT INTO coupons VALUES
        ('A', 1, 1, 'infinity'), ('B', 1, 1, '20261-01-01'), ('C', 1, 1, '0044-03-15 BC')
"""


class Codes(NamedTuple):
    """Exit codes, one for each command."""

    create: int = 0
    claim: int = 0
    claim_from: int = 10
    """Of the list, whose last users come too late."""
    show: int = 0
    list: int = 0
    verify: int = 0
    doctor: int = 0
    drill: int = 0


class Shape(NamedTuple):
    """A database, and what its sale comes to."""

    ddl: str
    codes: Codes = Codes()
    told: str = "2 claimed, 1 already claimed, 2 sold out"
    """The last words of `claim --from`."""


ONE_REFUSED = "2 claimed, 1 already claimed, 1 sold out, 1 refused"


def refusing_one(ddl: str) -> Shape:
    return Shape(ddl, Codes(claim_from=2), ONE_REFUSED)


SHAPES = {
    "ours": Shape("SELECT"),
    "the older shape": Shape(OLDER),
    "a trigger keeps some out": refusing_one(KEEPS_OUT),
    "a trigger raises": refusing_one(RAISES),
    "a trigger calls what is gone": refusing_one(BROKEN_TRIGGER),
    "a deferred trigger raises": refusing_one(LATE_RULE),
    "a rule does nothing instead": refusing_one(RULE_INSTEAD),
    "a check": refusing_one(CHECK),
    "a domain": refusing_one(DOMAIN),
    "a narrow column": refusing_one(NARROW),
    "a trigger writes in lower case": Shape(IN_LOWER_CASE),
    "a trigger puts rows elsewhere": Shape(ELSEWHERE),
    "citext": Shape(CITEXT),
    "a key on lower(user_id)": Shape(CASE_BLIND_KEY),
    "a key on lower(name)": Shape("CREATE UNIQUE INDEX ON coupons (lower(name))"),
    "a key that includes more": Shape(INCLUDING),
    "a deferrable key": Shape(DEFERRABLE_KEY),
    "one coupon a user": Shape(ONE_COUPON_A_USER),
    "one user a coupon": Shape(
        "CREATE UNIQUE INDEX ON claims (coupon_name) INCLUDE (user_id)",
        Codes(claim_from=2),
        "1 already claimed, 4 refused",
    ),
    "no key of claims": Shape("ALTER TABLE claims DROP CONSTRAINT claims_pkey", Codes(verify=20)),
    "partitions": Shape(PARTITIONED),
    "a view": Shape(AUTO_VIEW),
    "text": Shape("ALTER TABLE claims ALTER user_id TYPE text; ALTER TABLE coupons ALTER name TYPE text"),
    "numeric amounts": Shape(
        "ALTER TABLE coupons ALTER amount TYPE numeric, ALTER remaining_amount TYPE numeric"
    ),
    "bigint amounts": Shape(
        "ALTER TABLE coupons ALTER amount TYPE bigint, ALTER remaining_amount TYPE bigint"
    ),
    "users are uuid": Shape(
        "ALTER TABLE claims ALTER user_id TYPE uuid USING NULL",
        Codes(claim=2, claim_from=2, doctor=2),
        "5 refused",
    ),
    "users are bigint": Shape(
        "ALTER TABLE claims ALTER user_id TYPE bigint USING NULL",
        Codes(claim=2, claim_from=2, doctor=2),
        "5 refused",
    ),
    "timestamp and date": Shape(
        "ALTER TABLE coupons ALTER created_at TYPE timestamp; ALTER TABLE claims ALTER created_at TYPE date"
    ),
    "times beyond the calendar": Shape(FAR_TIMES),
    "a column that wants a value": Shape(
        "ALTER TABLE claims ADD region text NOT NULL", Codes(claim=2, claim_from=2, doctor=2), "5 refused"
    ),
    "a computed counter": Shape(COMPUTED, Codes(2, 12, 12, 12, verify=20, doctor=2), ""),
    "unlogged": Shape("ALTER TABLE claims SET UNLOGGED; ALTER TABLE coupons SET UNLOGGED"),
    "all identifiers quoted": Shape(QUOTED),
    "the check from the other side": Shape(ANOTHER_CHECK.format("0 <= remaining_amount")),
    "the check as > -1": Shape(ANOTHER_CHECK.format("remaining_amount > -1")),
    "a check that forbids nothing": Shape(
        ANOTHER_CHECK.format("remaining_amount >= 0 OR amount > 0"), Codes(verify=20)
    ),
    "published without identity": Shape(
        WITHOUT_IDENTITY, Codes(claim=2, claim_from=2, doctor=2), "5 refused"
    ),
    "published to all": Shape("CREATE PUBLICATION everything FOR ALL TABLES"),
    "DDL is forbidden": Shape(NO_DDL, Codes(drill=23)),
}

USERS = ["Alice", "bad one", "bob", "carol", "dora"]


@pytest.mark.parametrize("name", SHAPES)
def test_every_command_on_every_shape(
    couponctl: Couponctl, database_url: str, tmp_path: Path, name: str
) -> None:
    shape = SHAPES[name]
    run_script(database_url, shape.ddl)
    users = tmp_path / "users.txt"
    users.write_text("\n".join(USERS))

    answers = [
        couponctl("create", "SPRING", "3"),
        couponctl("claim", "SPRING", "Alice"),
        couponctl("claim", "SPRING", "--from", str(users)),
        couponctl("show", "SPRING"),
        couponctl("list"),
        couponctl("verify"),
        couponctl("doctor"),
        couponctl("drill", "flash-sale", "--n", "4", "--stock", "2", "--yes"),
    ]

    codes = Codes(*(answer.exit_code for answer in answers))
    assert codes == shape.codes, answers
    assert answers[2].out == (f"SPRING: {shape.told}\n" if shape.told else "")
    assert codes.doctor != 0 or 2 not in {codes.create, codes.claim}, "doctor is green in vain"
