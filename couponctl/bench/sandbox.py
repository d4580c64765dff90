"""The sandbox of a bench: a schema of its own on the operator's server, and the ledger in it."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import insert, text

from couponctl.bench.pgbench import Pgbench
from couponctl.errors import LedgerBroken
from couponctl.input_rules import MAX_AMOUNT
from couponctl.ledger.audit import audit
from couponctl.ledger.claims import find_strategy
from couponctl.ledger.tables import coupons
from couponctl.postgres.database import open_database
from couponctl.sandbox.ddl_check import SandboxOptions
from couponctl.sandbox.preflight import ADMIN, AGAIN, OBSERVER, admitted
from couponctl.sandbox.schema import admin_of, application_of, isolated_schema
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.bench.timed import Timed
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from couponctl.sandbox.schema import OnServer

WARM_UP = 0.3
"""Seconds of load before each measurement, to plan the statements and to wake up the processor."""


def connections_of(limits: Limits, clients: int) -> int:
    """Return the maximum number of connections of a bench; `clients` are those of its baseline."""
    return max(limits.pool_size, clients) + ADMIN + OBSERVER


@dataclass(frozen=True, slots=True)
class BenchSandbox:
    """A schema of its own on the server, and services on it."""

    server: Server
    limits: Limits
    schema: str
    run_id: str
    observer: Database

    async def create_coupons(self, number: int) -> list[str]:
        """Replace all coupons and claims by `number` new coupons."""
        names = [f"BENCH-{n}" for n in range(1, number + 1)]
        async with self.observer.session() as session:
            await session.execute(text(f"TRUNCATE {self.schema}.coupons, {self.schema}.claims"))
            await session.execute(
                insert(coupons).values(
                    [{"name": n, "amount": MAX_AMOUNT, "remaining_amount": MAX_AMOUNT} for n in names]
                )
            )
            await session.commit()
        return names

    @asynccontextmanager
    async def service(self, strategy: str) -> AsyncIterator[CouponService]:
        """Open a service over a warm pool of its own."""
        application = application_of(self.run_id)
        async with open_database(
            self.server, self.limits, application=application, schema=self.schema
        ) as database:
            service = CouponService(database, strategy=find_strategy(strategy))
            await service.warm()
            yield service

    @property
    def pgbench(self) -> Pgbench:
        return Pgbench(self.server, self.schema, application_of(self.run_id))

    async def hold_against_ledger(self, subject: str, *loads: Timed) -> None:
        """Compare claims with the ledger: a fast claim that is wrong does not count. Raises LedgerBroken."""
        found = await audit(self.observer)
        won = sum(load.won for load in loads)
        unknown = sum(load.unknown for load in loads)
        if found.findings:
            raise LedgerBroken(subject, found.findings[0].detail)
        if not won <= found.claims <= won + unknown:
            raise LedgerBroken(subject, f"{won:,} claims were won, {found.claims:,} are in the ledger")


@asynccontextmanager
async def bench_sandbox(
    server: Server, limits: Limits, clients: int, on_server: OnServer, *, unlogged: bool = False
) -> AsyncIterator[BenchSandbox]:
    """Open a sandbox for a bench whose baseline has `clients` connections; `drill clean` finds leftovers.

    `unlogged` tables are in no publication. Raises what `admitted` and `isolated_schema` raise if the server
    has no room for it.
    """
    run_id = secrets.token_hex(4)
    own = replace(limits, pool_size=ADMIN)
    async with open_database(server, own, application=admin_of(run_id)) as admin:
        preflight = await admitted(
            admin,
            connections_of(limits, clients),
            unlogged=unlogged,
            again=f"`couponctl bench {AGAIN}`",
        )
        async with (
            isolated_schema(admin, run_id, on_server, preflight, SandboxOptions(unlogged=unlogged)) as schema,
            open_database(server, own, application=admin_of(run_id), schema=schema) as observer,
        ):
            yield BenchSandbox(server, limits, schema, run_id, observer)
