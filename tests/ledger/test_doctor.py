"""The doctor names the remedy for each thing that would stop a sale, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from couponctl.ledger.doctor import Diagnosis, State, diagnose
from couponctl.postgres.database import open_database
from couponctl.settings import Settings
from tests.conftest import as_clerk

if TYPE_CHECKING:
    import asyncpg

    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


async def examined(server: Server, limits: Limits, role: str) -> list[Diagnosis]:
    async with open_database(as_clerk(server, role), limits, application="couponctl/test") as database:
        return [finding for finding in await diagnose(database) if finding.state is not State.OK]


async def test_a_healthy_database_has_nothing_wrong(database: Database) -> None:
    assert {finding.state for finding in await diagnose(database)} == {State.OK}


async def test_a_role_that_may_claim_only_lacks_the_right_to_drill(
    server: Server, limits: Limits, clerk: str
) -> None:
    (finding,) = await examined(server, limits, clerk)

    assert (finding.subject, finding.state) == ("drills", State.WARNING)
    assert f"GRANT CREATE ON DATABASE {server.database} TO {clerk};" in finding.remedy


async def test_a_role_without_privileges_counts_the_connections_of_others_too(
    server: Server, limits: Limits, database: Database, clerk: str
) -> None:
    async with open_database(as_clerk(server, clerk), limits, application="couponctl/test") as clerks:
        await diagnose(database)
        of_the_clerk = await diagnose(clerks)
        of_the_owner = await diagnose(database)

    (said,) = [finding for finding in of_the_clerk if finding.subject == "limits"]
    assert said in of_the_owner


async def test_claims_of_the_older_shape_need_their_sequence(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("ALTER TABLE claims ADD id SERIAL")

    wrong = [f for f in await examined(server, limits, clerk) if f.state is State.WRONG]

    assert [f.remedy for f in wrong] == [f"GRANT USAGE ON SEQUENCE public.claims_id_seq TO {clerk};"]


async def test_a_role_that_cannot_make_the_tables_is_told_which_grant_to_ask_for(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("DROP TABLE claims, coupons; REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    (wrong,) = [f for f in await examined(server, limits, clerk) if f.state is State.WRONG]

    assert wrong.remedy.startswith(f"GRANT CREATE, USAGE ON SCHEMA public TO {clerk}; then")


async def test_a_role_that_only_reads_wants_no_right_to_write(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(f"REVOKE INSERT, UPDATE ON coupons, claims FROM {clerk}")
    theirs = as_clerk(server, clerk)
    async with open_database(theirs, limits, application="couponctl/test") as database:
        reading = await diagnose(database, Settings(theirs, read_only=True))
        writing = await diagnose(database, Settings(theirs))

    assert State.WRONG not in {finding.state for finding in reading}
    assert [f.remedy for f in writing if f.state is State.WRONG] == [
        f"GRANT INSERT ON public.claims TO {clerk};",
        f"GRANT INSERT, UPDATE ON public.coupons TO {clerk};",
    ]


async def test_rights_on_the_columns_alone_are_enough(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(
        f"REVOKE INSERT, UPDATE ON coupons FROM {clerk};"
        f"GRANT INSERT (name, amount, remaining_amount), UPDATE (remaining_amount) ON coupons TO {clerk}"
    )

    assert [finding.subject for finding in await examined(server, limits, clerk)] == ["drills"]


async def test_an_identity_wants_no_grant_on_its_sequence(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("ALTER TABLE claims ADD id int GENERATED ALWAYS AS IDENTITY")

    assert [finding.subject for finding in await examined(server, limits, clerk)] == ["drills"]


@pytest.mark.parametrize("table", ["coupons", "claims"])
async def test_an_unlogged_table_is_empty_after_a_crash(
    database: Database, other_session: asyncpg.Connection, table: str
) -> None:
    await other_session.execute("ALTER TABLE claims SET UNLOGGED")
    if table == "coupons":
        await other_session.execute(
            "ALTER TABLE coupons SET UNLOGGED; ALTER TABLE claims DROP CONSTRAINT "
            "claims_coupon_name_fkey; ALTER TABLE claims SET LOGGED"
        )

    found = [finding for finding in await diagnose(database) if finding.subject == "durability"]

    assert [(f.state, f.remedy) for f in found] == [(State.WARNING, f"ALTER TABLE {table} SET LOGGED;")]


TYPES = [
    (
        "ALTER TABLE claims DROP CONSTRAINT claims_coupon_name_fkey, ALTER user_id TYPE bigint USING 1",
        "wrong",
    ),
    ("ALTER TABLE coupons ALTER name TYPE char(20)", "warning"),
    ("ALTER TABLE coupons ALTER amount TYPE numeric", "ok"),
    ("ALTER TABLE claims ALTER created_at TYPE text", "wrong"),
    ("ALTER TABLE coupons ADD shop text NOT NULL", "wrong"),
    ("ALTER TABLE claims ALTER created_at DROP DEFAULT", "wrong"),
    ("ALTER TABLE coupons ALTER amount TYPE smallint", "warning"),
    ("ALTER TABLE claims ALTER created_at TYPE timestamp", "warning"),
    ("ALTER TABLE coupons ALTER amount TYPE bigint, ALTER remaining_amount TYPE bigint", "ok"),
    ("CREATE DOMAIN who AS text; ALTER TABLE claims ALTER user_id TYPE who", "ok"),
    ("ALTER TABLE coupons ADD shop text NOT NULL DEFAULT 'here'", "ok"),
]


@pytest.mark.parametrize(("change", "state"), TYPES, ids=[change for change, _ in TYPES])
async def test_the_types_of_the_columns(
    database: Database, other_session: asyncpg.Connection, change: str, state: str
) -> None:
    await other_session.execute(change)

    (finding,) = [finding for finding in await diagnose(database) if finding.subject == "types"]

    assert finding.state == state


_ALL_COUPONS = "CREATE POLICY p ON coupons USING (true);"
_ALL_CLAIMS = "CREATE POLICY p ON claims USING (true);"

_BUT_NOT_ALL = "CREATE POLICY q ON claims AS RESTRICTIVE FOR SELECT USING (user_id <> '')"
_SOME_FOR_CLAIMS = """
    CREATE POLICY p ON claims FOR SELECT USING (true); CREATE POLICY q ON claims FOR INSERT WITH CHECK (true)
"""

POLICIES = [
    ("", "wrong", 5),
    (_ALL_COUPONS + _ALL_CLAIMS, "ok", 1),
    (_ALL_COUPONS, "wrong", 2),
    ("CREATE POLICY p ON coupons USING (name < 'B');" + _ALL_CLAIMS, "warning", 3),
    (
        _ALL_COUPONS + _ALL_CLAIMS + _BUT_NOT_ALL,
        "warning",
        1,
    ),
    ("CREATE POLICY p ON coupons TO pg_monitor USING (true);" + _ALL_CLAIMS, "wrong", 3),
    (
        _ALL_COUPONS + _SOME_FOR_CLAIMS,
        "ok",
        1,
    ),
]


@pytest.mark.parametrize(("made", "state", "count"), POLICIES, ids=[made for made, *_ in POLICIES])
async def test_row_level_security_is_never_green_unless_it_hides_nothing(
    server: Server,
    limits: Limits,
    clerk: str,
    other_session: asyncpg.Connection,
    made: str,
    state: str,
    count: int,
) -> None:
    await other_session.execute(
        f"ALTER TABLE coupons ENABLE ROW LEVEL SECURITY; ALTER TABLE claims ENABLE ROW LEVEL SECURITY; {made}"
    )
    async with open_database(as_clerk(server, clerk), limits, application="couponctl/test") as database:
        found = [finding for finding in await diagnose(database) if finding.subject == "policies"]

    assert ({finding.state for finding in found}, len(found)) == ({State(state)}, count)


async def test_the_policies_that_it_proposes_are_enough(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(
        "ALTER TABLE coupons ENABLE ROW LEVEL SECURITY; ALTER TABLE claims ENABLE ROW LEVEL SECURITY"
    )
    for finding in await examined(server, limits, clerk):
        if finding.subject == "policies":
            await other_session.execute(finding.remedy)

    assert [finding.subject for finding in await examined(server, limits, clerk)] == ["drills"]


async def test_the_roles_own_connections_are_counted(
    server: Server, limits: Limits, clerk: str, other_session: asyncpg.Connection
) -> None:
    await other_session.execute(f"ALTER ROLE {clerk} CONNECTION LIMIT 3")

    (said,) = [f for f in await examined(server, limits, clerk) if f.subject == "limits"]

    assert said.state is State.WARNING
    assert said.detail.startswith("3 of the 3 that the role's CONNECTION LIMIT allows are free")
    assert [f.subject for f in await examined(server, replace(limits, pool_size=3), clerk)] == ["drills"]


async def test_what_depends_on_the_tables_is_skipped_without_them(
    database: Database, other_session: asyncpg.Connection
) -> None:
    await other_session.execute("DROP TABLE claims")

    states = {finding.subject: finding.state for finding in await diagnose(database)}

    assert states["tables"] is State.WRONG
    skipped = [subject for subject, state in states.items() if state is State.SKIPPED]
    assert skipped == ["types", "rights", "rules", "publications", "policies"]
    assert states["limits"] is states["durability"] is State.OK


async def test_the_operators_own_guards_are_named(server: Server, database: Database) -> None:
    async def guards(settings: Settings) -> Diagnosis:
        (found,) = [finding for finding in await diagnose(database, settings) if finding.subject == "guards"]
        return found

    assert (await guards(Settings(server))).state is State.OK
    assert "read_only" in (await guards(Settings(server, read_only=True))).detail
    assert f"--confirm {server.database}" in (await guards(Settings(server, environment="production"))).detail
    reading = replace(server, dsn=f"{server.dsn}&target_session_attrs=standby")
    assert (await guards(Settings(reading))).state is State.WRONG
    assert (await guards(Settings(reading, read_only=True))).state is State.WARNING
