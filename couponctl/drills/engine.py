"""One run of one drill: its own schema, the attack, the checks that every drill shares, the clean-up."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Generic

from couponctl.audit import audit
from couponctl.cancellation import cancelled_once
from couponctl.claims import STATEMENT
from couponctl.database import open_database
from couponctl.drills.arena import CANCELLED, Arena
from couponctl.drills.drill import Check, Drill, P, merged, nobody, some
from couponctl.drills.isolation import attacker_of, director_of, isolated_schema
from couponctl.drills.journal import Journal, answer_checks, ledger_checks, recovered, time_checks
from couponctl.drills.leaks import footprint, leak_checks, rest_checks
from couponctl.drills.phases import phases_by_outcome
from couponctl.drills.preflight import AGAIN, DIRECTOR, WITNESS, admitted, connections_of
from couponctl.drills.progress import Progress
from couponctl.drills.rehearsal import Fittings
from couponctl.drills.report import Report, histogram_by_outcome, latency_by_outcome
from couponctl.errors import Unavailable
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from couponctl.claims import Strategy
    from couponctl.database import Database
    from couponctl.faults import Fault
    from couponctl.libpq import Server
    from couponctl.models import PoolStats
    from couponctl.settings import Limits


@dataclass(frozen=True, slots=True)
class Target:
    """The server that is drilled, and how claims are made on it."""

    server: Server
    limits: Limits
    strategy: Strategy = STATEMENT
    sale: type[CouponService] = CouponService
    """The service under attack."""
    unlogged: bool = False
    """Its tables are in no publication, and nothing is proven about a crash of the server."""


@dataclass(slots=True)
class _Findings:
    """What has come out of a run so far."""

    checks: list[Check] = field(default_factory=list)
    pool: PoolStats | None = None
    server: dict[str, Any] = field(default_factory=dict)
    recovered: int = 0
    faults: list[Fault] = field(default_factory=list)
    unfinished: str = "the final read of the ledger never happened"


class _Run(Generic[P]):
    """One run of one drill."""

    def __init__(self, drill: Drill[P], target: Target, parameters: P, seed: int, progress: Progress) -> None:
        self.id = secrets.token_hex(4)
        self.drill = drill
        self.target = target
        self.parameters = parameters
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.progress = progress
        self.journal = Journal()
        self.findings = _Findings()

    async def go(self) -> None:
        """Fill the findings; an answer that the server owes ends the run early."""
        async with self._database(director_of(self.id), connections=DIRECTOR) as director:
            fittings = Fittings(unlogged=self.target.unlogged, triggers=bool(self.drill.faults))
            premises = await admitted(
                director,
                connections_of(self.drill, self.parameters),
                unlogged=fittings.unlogged,
                again=f"`couponctl drill {self.drill.name} {AGAIN}`",
            )
            self.findings.server = premises.as_json()
            async with isolated_schema(director, self.id, self.progress, premises, fittings) as schema:
                before = await footprint(director, attacker_of(self.id))
                await self._attack(director, schema)
                self._found(await leak_checks(director, attacker_of(self.id), before))

    async def _attack(self, director: Database, schema: str) -> None:
        async with self._under_attack(self.target.server, schema) as service:
            self.progress.watch(service.database)
            arena = Arena(
                run_id=self.id,
                service=service,
                witness=lambda: self._database(director_of(self.id), connections=WITNESS, schema=schema),
                through=lambda server: self._under_attack(server, schema),
                journal=self.journal,
                progress=self.progress,
                random=self.random,
            )
            self.findings.faults = arena.faults
            self._found(await self._within_time(arena))
            self.progress.stage = "reading the ledger"
            self.findings.pool = service.pool_stats()
            self._found(await rest_checks(director, attacker_of(self.id), self.findings.pool))
            await self._hold_against_ledger(arena)

    @asynccontextmanager
    async def _under_attack(self, server: Server, schema: str) -> AsyncIterator[CouponService]:
        limits = self.parameters.limits(self.target.limits)
        async with open_database(server, limits, application=attacker_of(self.id), schema=schema) as database:
            self.progress.stage = "warming the pool"
            sale = self.target.sale(database, strategy=self.target.strategy)
            await sale.warm()
            yield sale

    async def _within_time(self, arena: Arena) -> list[Check]:
        timeout = self.parameters.timeout
        in_time = f"the attack ends within {timeout:g} s"
        began = monotonic()
        try:
            async with asyncio.timeout(timeout) as limit:
                checks = await self.drill.attack(arena, self.parameters)
        except TimeoutError:
            if not limit.expired():
                raise
            unanswered = sorted(e.user_id for e in self.journal.entries if e.sentence == CANCELLED)
            still = f"still {self.progress.stage}, without an answer: {some(unanswered)}"
            return [Check(in_time, "an answer for everybody", still, held=False)]
        return [*checks, Check(in_time, f"{timeout:g} s", f"{monotonic() - began:.2f} s", held=True)]

    async def _hold_against_ledger(self, arena: Arena) -> None:
        findings = self.findings
        self._found(answer_checks(self.journal.entries))
        by_coupon: dict[str, list[Check]] = {}
        for coupon, created in self.journal.created.items():
            entries = self.journal.of(coupon)
            ledger = await arena.ledger(coupon)
            by_coupon[coupon] = ledger_checks(entries, ledger) + time_checks(entries, created)
            findings.recovered += len(recovered(entries, ledger))
        self._found(merged(by_coupon))
        async with arena.witness() as database:
            audited = await audit(database)
        found = [finding.detail for finding in audited.findings]
        self._found([nobody("the audit of the ledger finds nothing", found)])
        findings.unfinished = self._nothing_proved(arena) or "; ".join(audited.not_told)

    def _found(self, checks: Sequence[Check]) -> None:
        self.findings.checks += checks
        self.progress.decided(self.findings.checks)

    def _nothing_proved(self, arena: Arena) -> str:
        without_effect = [fault.name for fault in arena.faults if not fault.happened]
        if without_effect:
            return f"the fault never took effect: {some(without_effect)}"
        return "" if self.journal.entries else "no claim was attempted"

    def _database(
        self, application: str, *, connections: int, schema: str | None = None
    ) -> AbstractAsyncContextManager[Database]:
        limits = replace(self.target.limits, pool_size=connections, acquire_timeout=self.parameters.timeout)
        return open_database(self.target.server, limits, application=application, schema=schema)


async def run_drill(
    drill: Drill[P],
    target: Target,
    parameters: P | None = None,
    *,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run a drill on a real server and report.

    A server that fails in the middle makes the report INCONCLUSIVE; one that cannot be reached or used
    at all, or has no place for the drill, raises before anything is created (Unavailable and NoHeadRoom,
    Misconfigured and ReadOnlyServer, MayNotDrill, Guarded). On cancellation the schema is dropped before
    CancelledError goes on its way.
    """
    parameters = (parameters or drill.parameters()).on_pool(target.limits)
    seed = secrets.randbelow(2**32) if seed is None else seed
    progress = progress or Progress()
    run = _Run(drill, target, parameters, seed, progress)
    began = perf_counter()  # the journal's clock
    try:
        await cancelled_once(run.go())
    except Unavailable as exc:
        if not run.journal.entries:
            raise
        run.findings.unfinished = f"{run.findings.unfinished or 'the clean-up did not end'}: {exc}"
    findings = run.findings
    return Report(
        drill=drill.name,
        run_id=run.id,
        parameters=asdict(parameters),
        seed=seed,
        strategy=target.strategy.name,
        server=findings.server,
        checks=tuple(findings.checks),
        outcomes=run.journal.tally(),
        latency=latency_by_outcome(run.journal.entries),
        histogram=histogram_by_outcome(run.journal.entries),
        phases=phases_by_outcome(run.journal.entries),
        recovered=findings.recovered,
        faults=tuple(findings.faults),
        pool=findings.pool,
        claim_phase=run.journal.duration,
        elapsed=perf_counter() - began,
        unfinished=findings.unfinished,
        left_behind=progress.left_behind,
        unlogged=target.unlogged,
        began=began,
        attempts=tuple(run.journal.entries),
    )
