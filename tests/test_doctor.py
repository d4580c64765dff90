"""The doctor names the remedy for each thing that would stop a sale, and no other."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from couponctl.database import open_database
from couponctl.doctor import Diagnosis, State, diagnose
from couponctl.libpq import server_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from couponctl.database import Database
    from couponctl.libpq import Server
    from couponctl.settings import Limits


@pytest.fixture
async def clerk(other_session: asyncpg.Connection) -> AsyncIterator[str]:
    """A role that may use the tables, and nothing else."""
    role = f"clerk_{secrets.token_hex(4)}"
    await other_session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'clerk'")
    await other_session.execute(f"GRANT SELECT, INSERT, UPDATE ON coupons, claims TO {role}")
    yield role
    await other_session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def examined(server: Server, limits: Limits, role: str) -> list[Diagnosis]:
    host = server.hosts[0]
    url = replace(server, user=role).public_url
    as_clerk = replace(server_at(url, source="the test", password="clerk"), hosts=(host,))
    async with open_database(as_clerk, limits, application="couponctl/test") as database:
        return [finding for finding in await diagnose(database) if finding.state is not State.OK]


async def test_a_healthy_database_has_nothing_wrong(database: Database) -> None:
    assert {finding.state for finding in await diagnose(database)} == {State.OK}


async def test_a_role_that_may_claim_only_lacks_the_right_to_drill(
    server: Server, limits: Limits, clerk: str
) -> None:
    (finding,) = await examined(server, limits, clerk)

    assert (finding.subject, finding.state) == ("drills", State.WARNING)
    assert f"GRANT CREATE ON DATABASE {server.database} TO {clerk};" in finding.remedy


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
