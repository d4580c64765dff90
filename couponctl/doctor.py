"""What is wrong with a database, for a sale and for drills, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from couponctl.questions import CLIENT_BACKEND
from couponctl.rules import judged
from couponctl.schema import missing_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Row

    from couponctl.database import Database
    from couponctl.rules import Judgement

OLDEST_VERSION = 14
"""The first that knows client_connection_check_interval, which every session sets."""


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """A sale works, but something may surprise."""
    WRONG = "wrong"
    """A sale does not work."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at."""

    subject: str
    state: State
    detail: str
    remedy: str = ""


_FACTS = text(f"""
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int / 10000 AS major,
           current_user AS role,
           current_database() AS database,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
           pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS read_only,
           has_database_privilege(current_database(), 'CREATE') AS may_create,
           current_setting('fsync')::bool AND current_setting('full_page_writes')::bool
               AND current_setting('synchronous_commit') <> 'off' AS durable,
           current_setting('max_connections')::int AS max_connections,
           (SELECT count(*) FROM pg_stat_activity WHERE {CLIENT_BACKEND}) AS in_use,
           coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create_tables,
           quote_ident(coalesce(current_schema(), 'public')) AS quoted_schema,
           quote_ident(current_user) AS quoted_role,
           quote_ident(current_database()) AS quoted_database
""")  # noqa: S608 - a constant

_PRIVILEGES = text("""
    SELECT relation, privilege FROM (VALUES
        ('coupons', 'SELECT'), ('coupons', 'INSERT'), ('coupons', 'UPDATE'),
        ('claims', 'SELECT'), ('claims', 'INSERT')) AS wanted (relation, privilege)
     WHERE NOT has_table_privilege(to_regclass(relation), privilege)
    UNION ALL
    -- claims of the older shape number their rows
    SELECT 'SEQUENCE ' || serial, 'USAGE' FROM pg_attribute,
           pg_get_serial_sequence(attrelid::regclass::text, attname) AS serial
     WHERE attrelid = to_regclass('claims') AND attnum > 0 AND NOT attisdropped
       AND serial IS NOT NULL AND NOT has_sequence_privilege(serial, 'USAGE')
""")


async def diagnose(database: Database) -> tuple[Diagnosis, ...]:
    """Look at everything that a sale and a drill need. Raises what connecting raises."""
    async with database.session("AUTOCOMMIT") as session:
        facts = (await session.execute(_FACTS)).one()
        lacking = await missing_columns(session)
        denied = [] if lacking else (await session.execute(_PRIVILEGES)).all()
    rules = () if lacking else tuple(_rules(await judged(database)))
    return (
        Diagnosis("connection", State.OK, f"{database.server.where} (from {database.server.source})"),
        *_server(facts, database.limits.pool_size),
        *_tables(facts, lacking, denied),
        *rules,
    )


def _server(facts: Row[Any], pool_size: int) -> Iterator[Diagnosis]:
    if facts.major < OLDEST_VERSION:
        detail = f"PostgreSQL {facts.version} is older than {OLDEST_VERSION}"
        yield Diagnosis("version", State.WARNING, detail, "Upgrade it; couponctl is not tried on it.")
    else:
        yield Diagnosis("version", State.OK, f"PostgreSQL {facts.version}")
    if facts.read_only:
        yield Diagnosis("writes", State.WRONG, "this server is read-only", "Point couponctl at the primary.")
    else:
        yield Diagnosis("writes", State.OK, "the server takes writes")
    if facts.durable:
        yield Diagnosis("durability", State.OK, "a claim that was answered survives a crash")
    else:
        yield Diagnosis(
            "durability",
            State.WARNING,
            "a claim that was answered can be lost in a crash",
            "Switch fsync, full_page_writes and synchronous_commit on.",
        )
    free = facts.max_connections - facts.in_use
    if free < pool_size:
        detail = f"{free} of {facts.max_connections} connections are free, the pool wants {pool_size}"
        yield Diagnosis(
            "connections", State.WARNING, detail, "Raise max_connections, or lower COUPONCTL_POOL_SIZE."
        )
    else:
        yield Diagnosis("connections", State.OK, f"{free} of {facts.max_connections} are free")
    if facts.may_create:
        yield Diagnosis("drills", State.OK, f"role {facts.role} may create a schema for them")
    else:
        remedy = f"For drills: GRANT CREATE ON DATABASE {facts.quoted_database} TO {facts.quoted_role};"
        yield Diagnosis("drills", State.WARNING, f"role {facts.role} may not create a schema", remedy)


def _tables(facts: Row[Any], lacking: tuple[str, ...], denied: Sequence[Row[Any]]) -> Iterator[Diagnosis]:
    if lacking:
        detail = f"missing: {', '.join(lacking)}"
        grant = (
            ""
            if facts.may_create_tables
            else (f"GRANT CREATE, USAGE ON SCHEMA {facts.quoted_schema} TO {facts.quoted_role}; then run ")
        )
        yield Diagnosis("tables", State.WRONG, detail, f"{grant or 'Run '}`couponctl db init`.")
        return
    yield Diagnosis("tables", State.OK, "coupons and claims are there")
    for row in denied:
        remedy = f"GRANT {row.privilege} ON {row.relation} TO {facts.quoted_role};"
        detail = f"role {facts.role} lacks {row.privilege} on {row.relation}"
        yield Diagnosis("privileges", State.WRONG, detail, remedy)
    if not denied:
        yield Diagnosis("privileges", State.OK, f"role {facts.role} may create and claim")


def _rules(judgement: Judgement) -> Iterator[Diagnosis]:
    for rule in judgement.broken:
        yield Diagnosis("rules", State.WARNING, rule.problem, f"{rule.remedy};")
    for rule in judgement.not_told:
        yield Diagnosis("rules", State.OK, rule.problem)
    if not judgement.broken and not judgement.not_told:
        yield Diagnosis("rules", State.OK, "keys and checks guard the ledger")
