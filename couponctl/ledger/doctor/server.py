"""The server itself: version, writes, free connections, and durability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from couponctl.ledger.doctor.diagnosis import Diagnosis, State
from couponctl.postgres.headroom import server_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.ledger.doctor.examination import Examination
    from couponctl.postgres.database import Session

OLDEST_VERSION = 14
"""The first version with client_connection_check_interval, which every session sets."""


def version(examination: Examination) -> Iterator[Diagnosis]:
    facts = examination.facts
    if facts.major < OLDEST_VERSION:
        detail = f"PostgreSQL {facts.version} is older than {OLDEST_VERSION}"
        yield Diagnosis("version", State.WARNING, detail, "Upgrade it; couponctl is not tested on it.")
    else:
        yield Diagnosis("version", State.OK, f"PostgreSQL {facts.version}")


def writes(examination: Examination) -> Iterator[Diagnosis]:
    if not examination.facts.read_only:
        yield Diagnosis("writes", State.OK, "the server takes writes")
    elif examination.read_only:
        yield Diagnosis("writes", State.OK, "this server is read-only, and nothing is to be written")
    else:
        remedy = "Point couponctl at the primary."
        yield Diagnosis("writes", State.WRONG, "this server is read-only", remedy)


def drills(examination: Examination) -> Iterator[Diagnosis]:
    facts = examination.facts
    if facts.may_create:
        yield Diagnosis("drills", State.OK, f"role {facts.role} may create a schema for them")
    else:
        remedy = f"For drills: GRANT CREATE ON DATABASE {facts.quoted_database} TO {facts.quoted_role};"
        yield Diagnosis("drills", State.WARNING, f"role {facts.role} may not create a schema", remedy)


async def limits(session: Session, examination: Examination) -> list[Diagnosis]:
    """Check the connections that this role can have, this one included."""
    narrowest = (await server_facts(session)).narrowest
    free = narrowest.free + 1
    detail = f"{free} of the {narrowest.limit} that {narrowest.limited_by} allows are free"
    if free >= examination.pool_size:
        return [Diagnosis("limits", State.OK, detail)]
    detail += f", the pool needs {examination.pool_size}"
    remedy = f"Raise {narrowest.limited_by}, or lower COUPONCTL_POOL_SIZE."
    return [Diagnosis("limits", State.WARNING, detail, remedy)]


_UNLOGGED = text("""
    SELECT oid::regclass::text FROM pg_class
     WHERE oid IN (to_regclass('coupons'), to_regclass('claims')) AND relpersistence <> 'p' ORDER BY oid
""")


async def durability(session: Session, examination: Examination) -> list[Diagnosis]:
    found = []
    if not examination.facts.durable:
        found.append(
            Diagnosis(
                "durability",
                State.WARNING,
                "a claim that was answered can be lost in a crash",
                "Switch fsync, full_page_writes and synchronous_commit on.",
            )
        )
    for table in (await session.execute(_UNLOGGED)).scalars():
        detail = f"{table} is empty after a crash: it is unlogged"
        remedy = f"ALTER TABLE {table} SET LOGGED;"
        found.append(Diagnosis("durability", State.WARNING, detail, remedy))
    survives = Diagnosis("durability", State.OK, "a claim that was answered survives a crash")
    return found or [survives]
