"""What is wrong with a database, for a sale and for drills, and how to fix it.

The stages follow a login and go on to the tables: each problem is reported once, with its remedy, and
stages that depend on it are skipped. Nothing is tried that another command would not do itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.errors import CouponctlError
from couponctl.ledger.doctor import server as of_server
from couponctl.ledger.doctor import tables as of_tables
from couponctl.ledger.doctor.connecting import (
    UNREACHABLE,
    broken_off,
    guards_said,
    passed,
    settings_said,
    stages,
)
from couponctl.ledger.doctor.diagnosis import Diagnosis, State, skipped
from couponctl.ledger.doctor.examination import begun
from couponctl.ledger.doctor.policies import policies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from couponctl.ledger.doctor.examination import Examination
    from couponctl.postgres.database import Database, Session
    from couponctl.settings import Settings

__all__ = ["Diagnosis", "State", "diagnose", "is_unreachable", "not_begun"]

_ON_TABLES = {
    "types": of_tables.types,
    "rights": of_tables.rights,
    "rules": of_tables.rules,
    "publications": of_tables.publications,
    "policies": policies,
}
"""Stages that require the tables."""

_BEHIND_LOGIN = ("version", "writes", "tables", *_ON_TABLES, "limits", "durability", "drills")


async def diagnose(database: Database, settings: Settings | None = None) -> tuple[Diagnosis, ...]:
    """Check everything that a sale and a drill need; a server that cannot be reached is a finding, too.

    `settings` are those that name the database, with the operator's guards.
    """
    guards = () if settings is None else tuple(guards_said(settings))
    begin = (*settings_said(database.server), *guards)
    try:
        async with database.session() as session:
            read_only = settings is not None and settings.read_only
            examination = await begun(session, database, read_only=read_only)
            found = await _looked_at(session, examination)
    except CouponctlError as error:
        way = await broken_off(error, database.server, database.limits.connect_timeout)
        return (*begin, *way, *skipped(*_BEHIND_LOGIN, after=_first_wrong(way)))
    return (*begin, *passed(database.server, examination.facts.encryption), *found)


def not_begun(error: CouponctlError, subject: str = "settings") -> tuple[Diagnosis, ...]:
    """Return the findings if no server is known, or the embedded one does not start."""
    wrong = Diagnosis(subject, State.WRONG, error.message.rstrip("."), error.remedy)
    way = ("guards", *stages(None))
    rest = way if subject == "settings" else way[way.index(subject) + 1 :]
    return (wrong, *skipped(*rest, *_BEHIND_LOGIN, after=subject))


def is_unreachable(findings: Iterable[Diagnosis]) -> bool:
    """Whether a finding is that the server cannot be reached, at least now."""
    return any(finding.state is State.WRONG and finding.subject in UNREACHABLE for finding in findings)


def _first_wrong(findings: Iterable[Diagnosis]) -> str:
    return next((finding.subject for finding in findings if finding.state is State.WRONG), "")


async def _looked_at(session: Session, examination: Examination) -> list[Diagnosis]:
    found = [*of_server.version(examination), *of_server.writes(examination), *of_tables.tables(examination)]
    for subject, stage in _ON_TABLES.items():
        found += (
            await stage(session, examination) if examination.has_tables else skipped(subject, after="tables")
        )
    found += await of_server.limits(session, examination)
    found += await of_server.durability(session, examination)
    return [*found, *of_server.drills(examination)]
