"""A drill that has no place on a server is refused before it creates anything, with the way out."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.catalog.sale import FLASH_SALE
from couponctl.drills.drill import DrillSpec, Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.errors import CouponctlError, MayNotDrill, NoHeadRoom, ReadOnlyServer
from couponctl.postgres.database import open_database
from couponctl.postgres.headroom import ConnectionLimit, ServerFacts
from couponctl.postgres.libpq import Server, server_at
from couponctl.postgres.limits import DEFAULT_LIMITS
from couponctl.sandbox.preflight import Preflight, admitted, inspect
from tests.support.leftovers import assert_nothing_left
from tests.support.sessions import PASSWORD, login
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from couponctl.drills.drill import Drill
    from couponctl.postgres.limits import Limits

SMALL = FLASH_SALE.spec(DEFAULT_LIMITS, {"n": 4, "stock": 2, "pool_size": 3})
NEEDED = SMALL.connections


class Seller:
    """A role without any rights but to log in, as its owner sees it and as it logs in."""

    def __init__(self, owner: asyncpg.Connection, url: str, name: str) -> None:
        self.name = name
        self._owner = owner
        self._url = url

    @property
    def quoted(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def server(self) -> Server:
        return server_at(login(self._url, self.name.replace(" ", "%20"), PASSWORD), source="the test")

    async def may_create(self) -> None:
        await self._owner.execute(f"GRANT CREATE ON DATABASE {await self.database()} TO {self.quoted}")

    async def database(self) -> str:
        return str(await self._owner.fetchval("SELECT quote_ident(current_database())"))

    async def limit(self, connections: int) -> None:
        await self._owner.execute(f"ALTER ROLE {self.quoted} CONNECTION LIMIT {connections}")


@pytest.fixture
async def seller(other_session: asyncpg.Connection, database_url: str) -> AsyncIterator[Seller]:
    seller = Seller(other_session, database_url, f"two  blanks {secrets.token_hex(4)}")
    await other_session.execute(f"CREATE ROLE {seller.quoted} LOGIN PASSWORD '{PASSWORD}'")
    yield seller
    await other_session.execute(f"DROP OWNED BY {seller.quoted}")
    await other_session.execute(f"DROP ROLE {seller.quoted}")


async def refused(server: Server, limits: Limits, spec: DrillSpec[Any] = SMALL) -> CouponctlError:
    with pytest.raises(CouponctlError) as refusal:
        await run_drill(spec, Target(server, limits))
    return refusal.value


async def test_a_role_that_may_not_create_is_told_the_grant_that_helps(
    seller: Seller, limits: Limits, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    refusal = await refused(seller.server, limits)
    grant = f"GRANT CREATE ON DATABASE {await seller.database()} TO {seller.quoted};"

    assert isinstance(refusal, MayNotDrill)
    assert refusal.hint.endswith(grant)
    await assert_nothing_left(observer)

    await other_session.execute(grant)
    report = await run_drill(SMALL, Target(seller.server, limits))
    assert report.verdict is Verdict.PASS


async def test_a_read_only_server_is_refused_before_anything_is_created(
    server: Server, limits: Limits, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    name = await other_session.fetchval("SELECT quote_ident(current_database())")
    await other_session.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert isinstance(await refused(server, limits), ReadOnlyServer)
    with pytest.raises(ReadOnlyServer):
        await inspect(server, limits, NEEDED)
    await assert_nothing_left(observer)


async def test_a_pool_larger_than_the_server_is_refused_with_both_numbers(
    server: Server, limits: Limits, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    most = int(await other_session.fetchval("SHOW max_connections"))
    kept_back = int(await other_session.fetchval("SHOW superuser_reserved_connections"))

    refusal = await refused(server, limits, FLASH_SALE.spec(limits, {"pool_size": most}))

    assert isinstance(refusal, NoHeadRoom)
    assert refusal.needed == most + 4
    assert refusal.limit == most - kept_back
    assert 0 < refusal.free < refusal.limit
    assert f"needs {most + 4} connections, and {refusal.free} of the {refusal.limit}" in str(refusal)
    assert "--pool-size" in refusal.hint
    assert "max_connections" in refusal.hint
    await assert_nothing_left(observer)


async def test_a_roles_own_limit_counts(seller: Seller, limits: Limits) -> None:
    await seller.may_create()
    await seller.limit(NEEDED - 1)

    refusal = await refused(seller.server, limits)

    assert isinstance(refusal, NoHeadRoom)
    assert (refusal.needed, refusal.free, refusal.limit) == (NEEDED, NEEDED - 1, NEEDED - 1)
    assert refusal.limited_by == "the role's CONNECTION LIMIT"


async def test_a_databases_own_limit_counts(
    seller: Seller, limits: Limits, other_session: asyncpg.Connection
) -> None:
    await seller.may_create()
    await other_session.execute(f"ALTER DATABASE {await seller.database()} CONNECTION LIMIT {NEEDED}")

    refusal = await refused(seller.server, limits)

    assert isinstance(refusal, NoHeadRoom)
    assert (refusal.free, refusal.limited_by) == (NEEDED - 1, "the database's CONNECTION LIMIT")


async def test_a_superuser_is_exempt_from_these_limits(
    server: Server, limits: Limits, other_session: asyncpg.Connection
) -> None:
    name = await other_session.fetchval("SELECT quote_ident(current_database())")
    await other_session.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 1")

    found = (await inspect(server, limits, NEEDED)).facts.connection_limits

    assert [limit.limited_by for limit in found] == ["max_connections"]


async def test_a_role_without_statistics_counts_the_backends_of_others_too(
    seller: Seller, server: Server, limits: Limits
) -> None:
    await seller.may_create()

    theirs = await inspect(seller.server, limits, NEEDED)

    async def all_there_is() -> bool:
        return (await inspect(server, limits, NEEDED)).facts.connection_limits[
            0
        ].taken == theirs.facts.connection_limits[0].taken

    assert theirs.facts.connection_limits[0].taken >= 2
    await until(all_there_is, expected=True)


async def test_backends_that_are_about_to_leave_are_waited_for(
    seller: Seller, limits: Limits, observer: asyncpg.Connection
) -> None:
    await seller.may_create()
    await seller.limit(NEEDED)
    async with (
        open_database(seller.server, limits, application="couponctl/leaving") as leaving,
        open_database(seller.server, limits, application="couponctl/looking") as looking,
    ):
        async with leaving.session("AUTOCOMMIT") as session:
            await session.connection.exec_driver_sql("SELECT 1")
        look = asyncio.create_task(admitted(looking, NEEDED))
        await until(lambda: _looks(observer), expected=True)
        await leaving.close()

        assert (await look).free == NEEDED


async def _looks(observer: asyncpg.Connection) -> bool:
    """Whether the head-room was looked at by another."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE query ~ 'rolconnlimit' AND pid <> pg_backend_pid() AND application_name = 'couponctl/looking'"
    )
    return bool(await observer.fetchval(query))


def test_the_narrowest_limit_decides() -> None:
    limits = (
        ConnectionLimit("max_connections", 97, 50),
        ConnectionLimit("the role's CONNECTION LIMIT", 10, 12),
    )
    facts = ServerFacts("18", 100, "r", "GRANT;", may_create=True, read_only=False, connection_limits=limits)
    preflight = Preflight("x", facts)

    assert preflight.free == 1
    with pytest.raises(NoHeadRoom) as refusal:
        preflight.admit(2)
    assert refusal.value.limited_by == "the role's CONNECTION LIMIT"
    preflight.admit(1)


@pytest.mark.ci
@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
async def test_no_drill_takes_more_than_it_announces(
    drill: Drill[Any], seller: Seller, limits: Limits
) -> None:
    """Neither connections, which the role is limited to, nor faults."""
    await seller.may_create()
    await seller.limit(drill.spec(limits).connections)

    report = await run_drill(drill.spec(limits), Target(seller.server, limits))

    assert report.verdict is Verdict.PASS, report.broken or report.unfinished
    assert {fault.name for fault in report.faults} == set(drill.faults)
