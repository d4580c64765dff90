"""One run of one drill: its own schema, the attack, the checks that all drills share, the clean-up."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Generic

from couponctl.aio.cancellation import cancel_once
from couponctl.drills.check import Check, merged, none_of, some
from couponctl.drills.context import CANCELLED, DrillContext, ServiceFailed, ledger_of
from couponctl.drills.drill import P
from couponctl.drills.journal import Journal, answer_checks, ledger_checks, recovered, time_checks
from couponctl.drills.leaks import footprint, leak_checks, rest_checks
from couponctl.drills.progress import Progress
from couponctl.drills.read_checks import (
    clock_checks,
    created_checks,
    names_of_coupons,
    order_checks,
    reading_checks,
    sequence_checks,
)
from couponctl.drills.reports.phases import phases_by_outcome
from couponctl.drills.reports.report import Report, ReportedServer, histogram_by_outcome, latency_by_outcome
from couponctl.drills.uptime import uptime
from couponctl.errors import CouponctlError, CouponNotFound, ReadOnlyServer, Unavailable
from couponctl.ledger.audit import audit
from couponctl.logs import logger
from couponctl.postgres.database import open_database
from couponctl.sandbox.ddl_check import SandboxOptions
from couponctl.sandbox.preflight import ADMIN, AGAIN, OBSERVER, admitted
from couponctl.sandbox.schema import admin_of, application_of, isolated_schema
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from couponctl.drills.drill import DrillSpec
    from couponctl.drills.faults.database import Fault
    from couponctl.models import Coupon, PoolStats
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits


_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """The server to drill, and the service under attack."""

    server: Server
    limits: Limits
    service_class: type[CouponService] = CouponService
    """The class of the service under attack."""
    unlogged: bool = False
    """Make the tables UNLOGGED: in no publication, and nothing is proven about a crash of the server."""


_GONE = (Unavailable, ReadOnlyServer)
"""Errors of the server or the network, not of the claim path; a standby is another server."""

_NEVER_READ = "the final read of the ledger never happened"


@dataclass(slots=True)
class _Findings:
    """The results of a run so far."""

    checks: list[Check] = field(default_factory=list)
    of_the_ledger: list[Check] = field(default_factory=list)
    """Those of `checks` that count even if the server was lost: a crash never excuses overselling."""
    pool: PoolStats | None = None
    server: dict[str, Any] = field(default_factory=dict)
    recovered: int = 0
    faults: list[Fault] = field(default_factory=list)
    lost: str = ""
    """How the server was lost before the final read of the ledger; empty if it was not."""
    unfinished: str = _NEVER_READ

    def break_off(self, error: CouponctlError) -> None:
        """Record that the server failed; once the ledger is read, the checks still count."""
        _log.warning("The server failed under a drill: %s.", type(error).__name__)
        if self.unfinished == _NEVER_READ:
            self.lost = f"{_NEVER_READ}: {error}"
        else:
            self.unfinished = "; ".join(filter(None, [self.unfinished, f"the clean-up did not end: {error}"]))

    @property
    def counting(self) -> tuple[Check, ...]:
        """The checks that prove something."""
        if not self.lost:
            return tuple(self.checks)
        return tuple(check for check in self.checks if check.held or check in self.of_the_ledger)

    @property
    def inconclusive(self) -> str:
        """Why nothing can be concluded from the checks; empty if something can."""
        if not self.lost:
            return self.unfinished
        counting = self.counting
        failed = [check.promise for check in self.checks if check not in counting]
        return f"{self.lost}; what failed meanwhile proves nothing: {some(failed)}" if failed else self.lost


class _Run(Generic[P]):
    """One run of one drill."""

    def __init__(self, spec: DrillSpec[P], target: Target, progress: Progress) -> None:
        self.id = secrets.token_hex(4)
        self.spec = spec
        self.target = target
        self.seed = secrets.randbelow(2**32) if spec.seed is None else spec.seed
        self.random = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        self.progress = progress
        self.began = perf_counter()  # the journal's clock
        self.attacking = False
        """Whether the attack has begun; from then on, losing the server is reported, not raised."""
        self.journal = Journal()
        self.findings = _Findings()

    async def go(self) -> None:
        """Run the drill and collect the findings; an error of the server ends it early."""
        async with self._database(admin_of(self.id), connections=ADMIN) as admin:
            options = SandboxOptions(unlogged=self.target.unlogged, triggers=bool(self.spec.drill.faults))
            preflight = await admitted(
                admin,
                self.spec.connections,
                unlogged=options.unlogged,
                again=f"`couponctl drill {self.spec.drill.name} {AGAIN}`",
            )
            self.findings.server = preflight.as_json()
            async with isolated_schema(admin, self.id, self.progress.on_server, preflight, options) as schema:
                try:
                    await self._in_schema(schema, admin)
                finally:
                    self.progress.stage = "cleaning up"

    async def _in_schema(self, schema: str, admin: Database) -> None:
        before = await footprint(admin, application_of(self.id))
        async with self._under_attack(self.target.server, schema) as service:
            self.progress.watch(service.database)
            await self._attack(admin, self._context(service, schema))
        self._found(await leak_checks(admin, application_of(self.id), before))

    def _context(self, service: CouponService, schema: str) -> DrillContext:
        return DrillContext(
            run_id=self.id,
            service=service,
            observer=lambda: self._database(admin_of(self.id), connections=OBSERVER, schema=schema),
            through=lambda server: self._under_attack(server, schema),
            journal=self.journal,
            progress=self.progress,
            random=self.random,
            faults=self.findings.faults,
        )

    async def _attack(self, admin: Database, context: DrillContext) -> None:
        before = await uptime(admin)
        self.attacking = True
        self._found(await self._within_time(context))
        self.progress.stage = "reading the ledger"
        self.findings.pool = context.service.pool_stats()
        self._found(await rest_checks(admin, context.service.database))
        self._found(answer_checks(self.journal.entries))
        await self._hold_against_ledger(context, before.at)
        if not before.goes_on_in(await uptime(admin)):
            _log.warning("The server crashed or was restarted under drill %s.", self.id)
            self.findings.lost = "the server crashed or was restarted in the middle of the drill"

    @asynccontextmanager
    async def _under_attack(self, server: Server, schema: str) -> AsyncIterator[CouponService]:
        limits = self.spec.parameters.limits(self.target.limits)
        async with open_database(
            server, limits, application=application_of(self.id), schema=schema
        ) as database:
            self.progress.stage = "warming the pool"
            service = self.target.service_class(database, strategy=self.spec.strategy)
            await service.warm()
            yield service

    async def _within_time(self, context: DrillContext) -> list[Check]:
        timeout = self.spec.parameters.timeout
        in_time = partial(Check, "attack-in-time", f"the attack ends within {timeout:g} s")
        errors = partial(none_of, "attack-errors", "errors that ended the attack")
        began = monotonic()
        try:
            async with asyncio.timeout(timeout) as limit:
                checks = await self.spec.drill.attack(context, self.spec.parameters)
        except TimeoutError:
            if not limit.expired():
                raise
            _log.warning("The attack of drill %s was broken off after %g s.", self.id, timeout)
            unanswered = sorted(e.user_id for e in self.journal.entries if e.sentence == CANCELLED)
            still = f"still {self.progress.stage}, without an answer: {some(unanswered)}"
            return [in_time("every attempt answered", still, held=False)]
        except _GONE as exc:
            _log.warning("The attack of drill %s was aborted: %s.", self.id, type(exc).__name__)
            self.findings.lost = f"the attack was aborted: {exc}"
            return []
        except (CouponctlError, ServiceFailed) as exc:
            return [errors([str(exc)])]
        took = f"{monotonic() - began:.2f} s"
        return [*checks, errors([]), in_time(f"{timeout:g} s", took, held=True)]

    async def _hold_against_ledger(self, context: DrillContext, began: datetime) -> None:
        try:
            async with context.observer() as observer:
                checks, doubts = await self._read_ledger(context, observer, began)
        except _GONE:
            raise
        except CouponctlError as exc:
            checks, doubts = (
                [none_of("final-read-errors", "errors of the final read", [str(exc)])],
                _NEVER_READ,
            )
        self._found(checks)
        self.findings.unfinished = doubts
        if not self.target.unlogged:  # a crash empties unlogged tables
            self.findings.of_the_ledger = checks

    async def _read_ledger(
        self, context: DrillContext, observer: Database, began: datetime
    ) -> tuple[list[Check], str]:
        """Compare the answers with the ledger; return the checks and what remains in doubt."""
        by_coupon: dict[str, list[Check]] = {}
        known: dict[str, Coupon] = {}
        gone = []
        users = {entry.user_id for entry in self.journal.entries}
        for coupon, created in self.journal.created.items():
            entries = self.journal.of(coupon)
            by_coupon[coupon] = time_checks(entries, created.acknowledged)
            try:
                ledger = await ledger_of(observer, coupon)
            except CouponNotFound:
                gone.append(coupon)
                continue
            by_coupon[coupon] = [
                *ledger_checks(entries, ledger, created.amount),
                *by_coupon[coupon],
                *await reading_checks(context.service, ledger, users),
                *created_checks(created.told, ledger.coupon),
                *clock_checks(ledger, began),
                *sequence_checks(entries, ledger),
            ]
            known[coupon] = ledger.coupon
            self.findings.recovered += len(recovered(entries, ledger))
        names = await names_of_coupons(observer)
        audited = await audit(observer)
        uninvited = {*names} - self.journal.asked
        found = [finding.detail for finding in audited.findings]
        checks = [
            none_of("coupons-vanished", "created coupons missing from the ledger", gone),
            none_of("coupons-never-asked-for", "coupons in the ledger that no create asked for", uninvited),
            *merged(by_coupon),
            *await order_checks(context.service, known, names),
            none_of("audit-findings", "findings of the audit", found),
        ]
        return checks, self._nothing_proved(context) or "; ".join(audited.not_told)

    def _found(self, checks: Sequence[Check]) -> None:
        self.findings.checks += checks
        self.progress.decided(self.findings.checks)

    def _nothing_proved(self, context: DrillContext) -> str:
        without_effect = [fault.name for fault in context.faults if not fault.happened]
        if without_effect:
            return f"the fault never took effect: {some(without_effect)}"
        return "" if self.journal.entries else "no claim was attempted"

    def _database(
        self, application: str, *, connections: int, schema: str | None = None
    ) -> AbstractAsyncContextManager[Database]:
        limits = replace(
            self.target.limits, pool_size=connections, acquire_timeout=self.spec.parameters.timeout
        )
        return open_database(self.target.server, limits, application=application, schema=schema)

    def report(self) -> Report:
        """Return the report, once the run is over."""
        entries = self.journal.entries
        findings = self.findings
        return Report(
            drill=self.spec.drill.name,
            run_id=self.id,
            parameters=asdict(self.spec.parameters),
            seed=self.seed,
            strategy=self.spec.strategy.name,
            server=ReportedServer(findings.server),
            checks=findings.counting,
            outcomes=self.journal.tally(),
            latency=latency_by_outcome(entries),
            histogram=histogram_by_outcome(entries),
            phases=phases_by_outcome(entries),
            recovered=findings.recovered,
            faults=tuple(findings.faults),
            pool=findings.pool,
            claim_phase=round(self.journal.duration, 6),
            elapsed=round(perf_counter() - self.began, 6),
            unfinished=findings.inconclusive,
            left_behind=self.progress.on_server.schema,
            unlogged=self.target.unlogged,
            began=self.began,
            attempts=tuple(entries),
        )


async def run_drill(spec: DrillSpec[P], target: Target, *, progress: Progress | None = None) -> Report:
    """Run a drill on a real server and report.

    An error from the attack is a failed check. If the server is lost during the attack, the report is
    INCONCLUSIVE, unless the ledger itself is wrong. If the server cannot be reached or used, or has no room
    for the drill, this raises before the attack begins (Unavailable and NoHeadRoom, Misconfigured and
    ReadOnlyServer, MayNotDrill, Guarded). On cancellation the schema is dropped before CancelledError
    propagates.
    """
    run = _Run(spec, target, progress or Progress())
    _log.info(
        "Drill %s %s begins, seed %s, strategy %s.", spec.drill.name, run.id, run.seed, spec.strategy.name
    )
    try:
        await cancel_once(run.go())
    except _GONE as exc:
        if not run.attacking:
            raise
        run.findings.break_off(exc)
    report = run.report()
    _log.info("Drill %s ended in %.1f s: %s.", run.id, report.elapsed, report.verdict.value)
    return report
