"""`sql/schema.sql` and the tables of the code are two views of one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, inspect

from couponctl.errors import SchemaMissing
from couponctl.ledger.rules import Standing, judge
from couponctl.ledger.schema import apply_schema, ensure_schema, missing_columns
from couponctl.ledger.tables import metadata
from couponctl.postgres.database import open_database
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    import asyncpg
    from sqlalchemy import Connection, Table

    from couponctl.postgres.database import Database
    from couponctl.postgres.limits import Limits


@pytest.fixture
async def empty_database(empty_database_url: str, limits: Limits) -> AsyncIterator[Database]:
    server = server_at(empty_database_url, source="the test")
    async with open_database(server, limits, application="couponctl/test") as database:
        yield database


@pytest.mark.parametrize("table", metadata.tables.values(), ids=lambda table: table.name)
async def test_the_code_describes_what_the_ddl_creates(database: Database, table: Table) -> None:
    async with database.session() as session:
        found = await session.connection.run_sync(_reflected, table.name)

    assert found["columns"] == {
        column.name: (str(column.type.compile(session.connection.dialect)), column.nullable)
        for column in table.columns
    }
    assert found["constraints"] == {
        constraint.name
        for constraint in table.constraints
        if isinstance(constraint, PrimaryKeyConstraint | CheckConstraint | ForeignKeyConstraint)
    }
    assert None not in found["constraints"], "every constraint has a name"


def _reflected(connection: Connection, table: str) -> dict[str, Any]:
    inspector = inspect(connection)
    return {
        "columns": {
            column["name"]: (str(column["type"].compile(connection.dialect)), column["nullable"])
            for column in inspector.get_columns(table)
        },
        "constraints": {
            inspector.get_pk_constraint(table)["name"],
            *(each["name"] for each in inspector.get_check_constraints(table)),
            *(each["name"] for each in inspector.get_foreign_keys(table)),
        },
    }


async def test_applying_the_schema_says_what_it_did_and_can_be_repeated(empty_database: Database) -> None:
    first = await apply_schema(empty_database)
    second = await apply_schema(empty_database)

    assert (first.created, first.found) == (("coupons", "claims"), ())
    assert (second.created, second.found) == ((), ("coupons", "claims"))


async def test_a_database_without_tables_says_so(empty_database: Database) -> None:
    with pytest.raises(SchemaMissing):
        await CouponService(empty_database).create("EARLY", 1)

    await ensure_schema(empty_database)
    assert (await CouponService(empty_database).create("IN TIME", 1)).amount == 1


async def test_a_missing_column_is_named(database: Database, other_session: asyncpg.Connection) -> None:
    await other_session.execute("ALTER TABLE coupons DROP COLUMN remaining_amount")

    async with database.session() as session:
        assert await missing_columns(session) == ("coupons.remaining_amount",)


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        ("ALTER TABLE claims DROP CONSTRAINT claims_coupon_name_fkey", "FOREIGN KEY"),
        ("ALTER TABLE claims DROP CONSTRAINT claims_pkey", "UNIQUE (coupon_name, user_id)"),
        ("ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount", "CHECK (remaining_amount"),
        ("ALTER TABLE coupons DROP CONSTRAINT coupons_pkey CASCADE", "PRIMARY KEY (name)"),
    ],
)
async def test_each_missing_rule_is_named_with_its_remedy(
    database: Database, other_session: asyncpg.Connection, damage: str, rule: str
) -> None:
    async with database.session() as session:
        assert (await judge(session)).of(Standing.MISSING) == ()
        await other_session.execute(damage)
        assert any(rule in missing.words for missing in (await judge(session)).of(Standing.MISSING))
