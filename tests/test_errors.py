"""The error tree: every class has its sentence, its exit code and its place in the drawing."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from couponctl import errors
from couponctl.cli.exit_codes import ExitCode, exit_code_for
from couponctl.models import Outcome
from couponctl.postgres import errors as driver_errors
from couponctl.postgres.limits import Limits

if TYPE_CHECKING:
    import asyncpg

    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server


def tree(root: type[errors.CouponctlError] = errors.CouponctlError) -> list[type[errors.CouponctlError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


def example_of(kind: type[errors.CouponctlError]) -> errors.CouponctlError:
    values = {"int": 2, "float": 0.25}
    return kind(**{each.name: values.get(str(each.type), f"<{each.name}>") for each in fields(kind)})


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_says_what_is_wrong_and_how_to_go_on(kind: type[errors.CouponctlError]) -> None:
    error = example_of(kind)

    assert error.message.endswith(".")
    assert "\n" not in str(error)
    assert "{" not in str(error)
    assert error.hint or type(error) in {errors.Invalid, errors.Refused}, "the way out"
    assert all(str(getattr(error, each.name)) in str(error) for each in fields(kind))


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_the_doctor_sends_nobody_to_the_doctor(kind: type[errors.CouponctlError]) -> None:
    error = example_of(kind)

    assert "couponctl doctor" not in error.remedy
    assert error.hint.startswith(error.remedy.removesuffix("."))
    if "couponctl doctor" not in error.hint:
        assert error.remedy == error.hint


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_drawing_below_its_parent(kind: type[errors.CouponctlError]) -> None:
    drawing = (inspect.getdoc(errors) or "").splitlines()
    lines = [re.sub(r"[│├└─]+", "", line).split()[:1] for line in drawing]

    assert [kind.__name__] in lines
    assert set(re.findall(r"\b[A-Z]\w+", " ".join(word[0] for word in lines if word))) >= {kind.__name__}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.CouponNotFound, 12),
        (errors.CouponExists, 13),
        (errors.SoldOut, 10),
        (errors.AlreadyClaimed, 11),
        (errors.Invalid, 2),
        (errors.RunNotFound, 12),
        (errors.Unavailable, 3),
        (errors.Unreachable, 3),
        (errors.PoolExhausted, 3),
        (errors.Contended, 3),
        (errors.TimedOut, 4),
        (errors.OutcomeUnknown, 4),
        (errors.Misconfigured, 2),
        (errors.BadSettings, 2),
        (errors.SchemaMissing, 2),
        (errors.NoPrivilege, 2),
        (errors.LoginRefused, 2),
        (errors.ReadOnlyServer, 2),
        (errors.RefusedByDatabase, 2),
        (errors.KeyTaken, 2),
        (errors.SchemaUnfit, 2),
        (errors.ServerFailed, 2),
        (errors.OutOfResources, 3),
        (errors.Guarded, 23),
        (errors.NotAccepting, 3),
        (errors.WrongPassword, 2),
        (errors.TlsNotOffered, 2),
    ],
)
def test_exit_codes_are_an_interface(kind: type[errors.CouponctlError], code: int) -> None:
    assert exit_code_for(example_of(kind)) == code


def test_only_the_base_of_all_errors_and_of_refusals_has_no_exit_code() -> None:
    unmapped = {kind for kind in tree() if exit_code_for(example_of(kind)) is ExitCode.UNEXPECTED}

    assert unmapped == {errors.CouponctlError, errors.Refused}


def test_errors_and_outcomes_share_one_table_of_words() -> None:
    with_outcome = [kind for kind in tree() if kind.outcome is not None]

    assert {kind.outcome for kind in with_outcome} == set(Outcome) - {Outcome.CLAIMED}
    for kind in with_outcome:
        assert kind.outcome is not None
        assert (kind.code, kind.status) == (kind.outcome.value, kind.outcome.status)


def _raising(sqlstate: str) -> str:
    return f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}' ;END $$"


MEASURED = {
    "lock_timeout": ("SET lock_timeout = 1; SELECT FROM held FOR UPDATE", errors.TimedOut),
    "nowait": ("SELECT FROM held FOR UPDATE NOWAIT", errors.TimedOut),
    "statement_timeout": ("SET statement_timeout = 1; SELECT pg_sleep(9)", errors.TimedOut),
    "unique": ("INSERT INTO held VALUES (1)", errors.KeyTaken),
    "check": ("INSERT INTO held VALUES (-1)", errors.RefusedByDatabase),
    "too long": ("INSERT INTO coupons VALUES (repeat('x', 256), 1, 1)", errors.RefusedByDatabase),
    "no table": ("SELECT FROM nowhere", errors.SchemaMissing),
    "old server": ("SET client_connection_check_intervall = 1", errors.BadSettings),
    "no column": ("SELECT nothing FROM coupons", errors.SchemaMissing),
    "no schema": ("CREATE TABLE nowhere.x ()", errors.SchemaMissing),
    "no privilege": ("SET ROLE pg_monitor; SELECT FROM coupons", errors.NoPrivilege),
    "read-only": ("SET transaction_read_only = on; INSERT INTO held VALUES (2)", errors.ReadOnlyServer),
    "terminated": ("SELECT pg_terminate_backend(pg_backend_pid())", errors.Unreachable),
    "serialization": (_raising("40001"), errors.Contended),
    "deadlock": (_raising("40P01"), errors.Contended),
    "orphan": ("INSERT INTO claims VALUES ('nothing', 'u')", errors.RefusedByDatabase),
    "login": (_raising("28000"), errors.LoginRefused),
    "password": (_raising("28P01"), errors.LoginRefused),
    "no database": (_raising("3D000"), errors.LoginRefused),
    "no slot": (_raising("53300"), errors.Unreachable),
    "starting up": (_raising("57P03"), errors.Unreachable),
    "disk full": (_raising("53100"), errors.OutOfResources),
    "out of memory": (_raising("53200"), errors.OutOfResources),
    "other resources": (_raising("53400"), errors.Unavailable),
    "other type": ("SELECT FROM coupons WHERE amount = 'x'::text", errors.SchemaUnfit),
    "damaged": (_raising("XX001"), errors.ServerFailed),
    "pooler": (_raising("08P01"), errors.BadSettings),
}


async def run_sql(database: Database, sql: str, *, committing: bool = False) -> None:
    async with database.session() as session:
        session.committing = committing
        for statement in sql.split("; "):
            await session.connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("sql", "expected"), MEASURED.values(), ids=MEASURED)
async def test_the_servers_errors_become_ours(
    database: Database, other_session: asyncpg.Connection, sql: str, expected: type[errors.CouponctlError]
) -> None:
    await other_session.execute(
        "CREATE TABLE held (id int PRIMARY KEY CHECK (id > 0)); INSERT INTO held VALUES (1)"
    )
    async with other_session.transaction():
        await other_session.execute("SELECT FROM held FOR UPDATE")
        with pytest.raises(errors.CouponctlError) as caught:
            await run_sql(database, sql)

    assert type(caught.value) is expected
    assert caught.value.__cause__ is not None, "the cause is kept for a bug report"


async def test_a_lost_connection_while_committing_leaves_the_outcome_unknown(database: Database) -> None:
    with pytest.raises(errors.OutcomeUnknown):
        await run_sql(database, "SELECT pg_terminate_backend(pg_backend_pid())", committing=True)


async def test_what_nobody_expects_is_raised_untouched(database: Database) -> None:
    with pytest.raises(Exception, match="does not exist") as caught:
        await run_sql(database, "ROLLBACK TO SAVEPOINT never")

    assert not isinstance(caught.value, errors.CouponctlError)


def test_every_row_of_the_table_has_been_seen() -> None:
    """Each SQLSTATE of the table is raised by one of the cases above."""
    seen = {"08P01", "25006", "28000", "28P01", "3D000", "3F000", "40001", "40P01", "42501"}
    seen |= {"42703", "42704", "42P01", "53100", "53200", "55P03", "57014"}

    assert set(driver_errors._BY_SQLSTATE) == seen


async def test_a_full_pool_says_so(server: Server, database: Database) -> None:
    small = type(database)(server, Limits(pool_size=1, acquire_timeout=0.05), application="couponctl/test")
    try:
        async with small.session():
            with pytest.raises(errors.PoolExhausted) as caught:
                await run_sql(small, "SELECT 1")
    finally:
        await small.close()

    assert (caught.value.size, caught.value.seconds) == (1, 0.05)
    assert small.pool_stats().acquire_failures == 1
