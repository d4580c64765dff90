"""A bench from its schema to its rows: rounds interleaved, and the ledger read after every measurement."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, text

from couponctl.audit import audit
from couponctl.bench.load import Arrivals, closed_load, open_load
from couponctl.bench.pgbench import CLIENTS, Timed, run_pgbench
from couponctl.bench.rows import PGBENCH, Cell, Measurement
from couponctl.claims import find_strategy
from couponctl.database import open_database
from couponctl.drills.isolation import attacker_of, director_of, isolated_schema
from couponctl.drills.preflight import DIRECTOR, WITNESS, admitted
from couponctl.errors import LedgerBroken
from couponctl.input_rules import MAX_AMOUNT
from couponctl.service import CouponService
from couponctl.tables import claims, coupons

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from couponctl.database import Database
    from couponctl.drills.progress import Progress
    from couponctl.libpq import Server
    from couponctl.settings import Limits

_WARM_UP = 0.3
"""Seconds of load before each measurement: plans are made, and the processor has woken up."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is measured: every strategy, with so many in flight, on so many coupons."""

    strategies: tuple[str, ...]
    in_flight: tuple[int, ...]
    coupons: tuple[int, ...]
    seconds: float
    """Of one measurement."""
    rounds: int
    pgbench: bool

    def connections(self, limits: Limits) -> int:
        """The most that are open at once."""
        return max(limits.pool_size, CLIENTS if self.pgbench else 0) + DIRECTOR + WITNESS

    @property
    def duration(self) -> float:
        """Seconds that it takes at least."""
        cells = len(self.strategies) * len(self.in_flight) + self.pgbench
        return self.rounds * len(self.coupons) * cells * (self.seconds + _WARM_UP)

    def lines(self, limits: Limits) -> tuple[str, ...]:
        """What it does to the server, for people."""
        return (
            "bench: create a schema couponctl_drill_…, and drop it afterwards",
            f"bench: open up to {self.connections(limits)} connections for about {self.duration:.0f} s",
            "bench: claim as fast as the server lets it: that is all the load it can take",
        )


class Ground:
    """A schema of its own on the server, and a service on it."""

    def __init__(self, server: Server, limits: Limits, schema: str, run_id: str, witness: Database) -> None:
        self.server = server
        self.schema = schema
        self._limits = limits
        self._run_id = run_id
        self._witness = witness

    async def lay_out(self, number: int) -> list[str]:
        """So many fresh coupons, and no claims."""
        names = [f"BENCH-{n}" for n in range(1, number + 1)]
        async with self._witness.session() as session:
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
        """Over a warm pool of its own."""
        application = attacker_of(self._run_id)
        async with open_database(
            self.server, self._limits, application=application, schema=self.schema
        ) as database:
            await database.warm()
            yield CouponService(database, strategy=find_strategy(strategy))

    async def hold_against_ledger(self, subject: str, won: int) -> None:
        """A fast claim that is wrong is no claim. Raises LedgerBroken."""
        found = (await audit(self._witness)).findings
        async with self._witness.session("AUTOCOMMIT") as session:
            count = (await session.execute(select(func.count()).select_from(claims))).scalar_one()
        if found or count != won:
            detail = found[0].detail if found else f"{won:,} claims were won, {count:,} are in the ledger"
            raise LedgerBroken(subject, detail)


@asynccontextmanager
async def ground(server: Server, limits: Limits, needed: int, progress: Progress) -> AsyncIterator[Ground]:
    """A place for a bench. Raises what `admitted` raises where the server has none."""
    run_id = secrets.token_hex(4)
    own = replace(limits, pool_size=DIRECTOR)
    async with open_database(server, own, application=director_of(run_id)) as director:
        await admitted(director, needed)
        async with (
            isolated_schema(director, run_id, progress) as schema,
            open_database(server, own, application=director_of(run_id), schema=schema) as witness,
        ):
            yield Ground(server, limits, schema, run_id, witness)


async def run_course(
    course: Course, ground: Ground, measured: Callable[[Measurement], None]
) -> tuple[Measurement, ...]:
    """Every cell once a round, side by side with pgbench. Raises LedgerBroken."""
    measurements: list[Measurement] = []
    for _ in range(course.rounds):
        for number in course.coupons:
            yardstick: float | None = None
            if course.pgbench:
                timed = await _pgbench(course, ground, number)
                yardstick = timed.claims_per_s
                cell = Cell(PGBENCH, CLIENTS, number)
                measurements.append(_measurement(cell, timed, yardstick))
                measured(measurements[-1])
            for strategy in course.strategies:
                for in_flight in course.in_flight:
                    cell = Cell(strategy, in_flight, number)
                    timed = await _closed(course, ground, cell)
                    measurements.append(_measurement(cell, timed, yardstick))
                    measured(measurements[-1])
    return tuple(measurements)


async def _pgbench(course: Course, ground: Ground, number: int) -> Timed:
    await ground.lay_out(number)
    timed = await run_pgbench(
        ground.server, ground.schema, clients=CLIENTS, coupons=number, seconds=course.seconds
    )
    await ground.hold_against_ledger(PGBENCH, timed.won)
    return timed


async def _closed(course: Course, ground: Ground, cell: Cell) -> Timed:
    names = await ground.lay_out(cell.coupons)
    async with ground.service(cell.subject) as service:
        before = await closed_load(service, names, in_flight=cell.in_flight, seconds=_WARM_UP, users="warm")
        timed = await closed_load(
            service, names, in_flight=cell.in_flight, seconds=course.seconds, users="user"
        )
    await ground.hold_against_ledger(cell.subject, before.won + timed.won)
    return timed


async def arrivals(
    ground: Ground, strategy: str, *, rate: float, coupons: int, seconds: float, seed: int
) -> Arrivals:
    """An open load on one strategy. Raises LedgerBroken."""
    names = await ground.lay_out(coupons)
    async with ground.service(strategy) as service:
        before = await closed_load(service, names, in_flight=10, seconds=_WARM_UP, users="warm")
        found = await open_load(service, names, rate=rate, seconds=seconds, seed=seed, users="user")
    await ground.hold_against_ledger(strategy, before.won + found.won)
    return found


def _measurement(cell: Cell, timed: Timed, yardstick: float | None) -> Measurement:
    return Measurement(
        cell=cell,
        claims_per_s=timed.claims_per_s,
        p50_ms=timed.percentile_ms(0.50),
        p99_ms=timed.percentile_ms(0.99),
        vs_pgbench=timed.claims_per_s / yardstick if yardstick else None,
    )
