"""The doctor names the remedy for each thing that would stop a sale, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.database import open_database
from couponctl.doctor import Diagnosis, State, diagnose
from tests.conftest import as_clerk

if TYPE_CHECKING:
    import asyncpg

    from couponctl.database import Database
    from couponctl.libpq import Server
    from couponctl.settings import Limits


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

    (said,) = [finding for finding in of_the_clerk if finding.subject == "connections"]
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
