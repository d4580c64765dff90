"""Whether the tables refuse stock below zero: their checks are evaluated for made-up rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from couponctl.postgres.errors import sqlstate_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from couponctl.ledger.rules.pg_catalog import Table
    from couponctl.ledger.rules.rule import Rule, Wanted
    from couponctl.postgres.database import Session

_AMOUNTS = (1, 10, 1_000, 10_000)
_LARGE_AMOUNTS = (1_000_000, 100_000_000)
"""More than a smallint can hold."""
_BELOW_ZERO = (-1, -2, -1_000, -10_000)

_ASKED_ABOUT = {"amount": "probe.amount", "remaining_amount": "probe.remaining"}
"""The columns that have a value in the made-up rows, and the SQL for it."""
_NUMBERS = {"smallint", "integer", "bigint", "numeric", "real", "double precision"}

_NOT_THE_CHECKS_FAULT = ("08", "53", "55", "57", "58")
"""SQLSTATE classes of a server that cannot answer now."""


@dataclass(frozen=True, slots=True)
class _Check:
    """A check constraint of the table or of a domain."""

    expression: str
    """The server's text of it, over the columns of a row; over `value` for a domain's."""
    of_domain: bool


@dataclass(frozen=True, slots=True)
class _Column:
    bare: str
    name: str
    """Quoted for SQL."""
    type: str
    """For a domain, its base type: the domain's checks are evaluated like those of the table."""
    generated: str | None
    """Its expression, if it is a generated column."""

    def given(self, numbers: Mapping[str, str]) -> str:
        return f"CAST({numbers.get(self.bare, 'NULL')} AS {self.type})"


# The columns of a check are in its conkey, with 0 for a whole-row reference. The functions that it calls are
# oids in its tree, the only place that lists built-in ones, too. A null can stand for any value of another
# column if the tree has only logic and what returns null for null.
_CHECKS = text(r"""
    WITH RECURSIVE stock (attnum, type) AS (
        SELECT attnum, atttypid FROM pg_attribute
         WHERE attrelid = to_regclass(:relation) AND attname = 'remaining_amount' AND NOT attisdropped
        UNION ALL
        SELECT attnum, typbasetype FROM stock JOIN pg_type ON pg_type.oid = type WHERE typtype = 'd'
    ), numbers AS (
        SELECT attnum FROM pg_attribute
         WHERE attrelid = to_regclass(:relation) AND attname IN ('amount', 'remaining_amount')
    ), made AS (
        SELECT attnum, adbin::text AS tree FROM pg_attribute
          JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = to_regclass(:relation) AND attgenerated <> ''
    ), checks AS (
        SELECT oid, pg_get_expr(conbin, conrelid) AS expression, contypid <> 0 AS of_domain, connoinherit,
               coalesce(conkey <@ ARRAY(SELECT attnum FROM numbers), true) AS of_numbers,
               conbin::text || coalesce((SELECT string_agg(tree, '') FROM made
                                          WHERE attnum = ANY (conkey)), '') AS tree
          FROM pg_constraint
         WHERE contype = 'c' AND coalesce((to_jsonb(pg_constraint) ->> 'conenforced')::bool, true)
           AND (contypid IN (SELECT type FROM stock)
                OR conrelid = to_regclass(:relation) AND conkey && ARRAY(
                    SELECT attnum FROM stock
                    UNION ALL SELECT 0::int2
                    UNION ALL SELECT attnum FROM made))
    ), calls AS (
        SELECT checks.oid AS check, provolatile, proisstrict
          FROM checks
         CROSS JOIN regexp_matches(tree, ':(funcid|opfuncid|opno) (\d+)', 'g') AS called (it)
          LEFT JOIN pg_operator ON it[1] = 'opno' AND pg_operator.oid = it[2]::oid
          JOIN pg_proc ON pg_proc.oid = CASE it[1] WHEN 'opno' THEN oprcode::oid ELSE it[2]::oid END
    )
    SELECT expression, of_domain, connoinherit AS not_for_heirs,
           EXISTS (SELECT FROM calls WHERE calls.check = checks.oid AND provolatile = 'v') AS may_do_more,
           of_numbers
               OR NOT EXISTS (SELECT FROM calls WHERE calls.check = checks.oid AND NOT proisstrict)
                  AND NOT EXISTS (
                      SELECT FROM regexp_matches(tree, '\{([A-Z_]+)', 'g') AS node (of)
                       WHERE of[1] NOT IN ('BOOLEXPR', 'OPEXPR', 'FUNCEXPR', 'VAR', 'CONST', 'RELABELTYPE',
                                           'COERCEVIAIO', 'SCALARARRAYOPEXPR')) AS plain
      FROM checks
     ORDER BY oid
""")

_COLUMNS = text("""
    WITH RECURSIVE typed (attnum, attname, attgenerated, type) AS (
        SELECT attnum, attname, attgenerated, atttypid FROM pg_attribute
         WHERE attrelid = to_regclass(:relation) AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT attnum, attname, attgenerated, typbasetype
          FROM typed JOIN pg_type ON pg_type.oid = type WHERE typtype = 'd'
    )
    SELECT attname::text AS bare, quote_ident(attname) AS name, format_type(type, NULL) AS type,
           CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END AS generated
      FROM typed
      JOIN pg_type ON pg_type.oid = type AND typtype <> 'd'
      LEFT JOIN pg_attrdef ON adrelid = to_regclass(:relation) AND adnum = attnum
     ORDER BY attnum
""")


async def stock_judged(wanted: Wanted, session: Session, coupons: Table) -> Rule:
    """Judge whether no coupon can have less than zero units left."""
    if coupons.no_table:
        return wanted.not_told(coupons.no_table)
    about = {"relation": coupons.relation}
    rows = (await session.execute(_CHECKS, about)).all()
    asked = [_Check(row.expression, row.of_domain) for row in rows if row.plain and not row.may_do_more]
    columns = [
        _Column(row.bare, row.name, row.type, row.generated) for row in await session.execute(_COLUMNS, about)
    ]
    if any(column.type not in _NUMBERS for column in columns if column.bare in _ASKED_ABOUT):
        return wanted.not_told("the numbers of coupons are of a type of their own")
    refused = await _refused(session, asked, columns)
    if refused is True:
        if coupons.has_heirs and any(row.not_for_heirs for row in rows):
            return wanted.not_told("other tables inherit from coupons, but not its check")
        return wanted.held
    if any(row.may_do_more for row in rows):
        return wanted.not_told("a check of coupons calls a function that may do more than look (VOLATILE)")
    if refused is None or len(asked) < len(rows):
        return wanted.not_told("a check of coupons depends on more than its numbers, or cannot be asked")
    return wanted.not_told(coupons.perhaps) if coupons.perhaps else wanted.missing


async def _refused(session: Session, checks: Sequence[_Check], columns: Sequence[_Column]) -> bool | None:
    """Whether every possible coupon is refused below zero; None if that depends on other columns."""
    large = all(column.type != "smallint" for column in columns if column.bare in _ASKED_ABOUT)
    amounts = _AMOUNTS + (_LARGE_AMOUNTS if large else ())
    sound = {(amount, left) for amount in amounts for left in {0, 1, amount}}
    rows = [*sound, *product(amounts, _BELOW_ZERO)]
    answers = await _answers(session, checks, columns, rows)
    possible = {amount for amount, left in sound if False not in answers[amount, left]}
    below = [answers[amount, left] for amount in possible for left in _BELOW_ZERO]
    if any(all(answer is True for answer in each) for each in below):
        return False
    return True if below and all(False in each for each in below) else None


_Answers = dict[tuple[int, int], list[bool | None]]


async def _answers(
    session: Session, checks: Sequence[_Check], columns: Sequence[_Column], rows: Sequence[tuple[int, int]]
) -> _Answers:
    """Return each check's result for each row; None if it depends on other columns, or fails."""
    together = await _asked(session, checks, columns, rows)
    if together is not None:
        return together
    answers: _Answers = {row: [] for row in rows}
    for check in checks:
        alone = await _asked(session, [check], columns, rows) or {row: [None] for row in rows}
        for row in rows:
            answers[row] += alone[row]
    return answers


async def _asked(
    session: Session, checks: Sequence[_Check], columns: Sequence[_Column], rows: Sequence[tuple[int, int]]
) -> _Answers | None:
    """Evaluate all checks in one statement; None if one of them fails."""
    if not checks:
        return {row: [] for row in rows}
    probes = ", ".join(f"({amount}, {left})" for amount, left in rows)
    words = ", ".join(f"({_question(check, columns)})::bool" for check in checks)
    sql = f"SELECT amount, remaining, {words} FROM (VALUES {probes}) AS probe (amount, remaining)"  # noqa: S608 - the server's own
    try:
        async with session.connection.begin_nested():
            found = (await session.connection.exec_driver_sql(sql)).all()
    except DBAPIError as exc:
        state = sqlstate_of(exc)
        if exc.connection_invalidated or state is None or state.startswith(_NOT_THE_CHECKS_FAULT):
            raise
        return None
    return {(amount, left): list(said) for amount, left, *said in map(tuple, found)}


def _question(check: _Check, columns: Sequence[_Column]) -> str:
    """Return a query for the check's result on the row of `probe`, whose other columns are null."""
    if check.of_domain:
        (stock,) = (column.given(_ASKED_ABOUT) for column in columns if column.bare == "remaining_amount")
        return f"SELECT {check.expression} FROM (SELECT {stock} AS value) AS stock"  # noqa: S608 - the server's own
    plain = ", ".join(
        f"{column.given(_ASKED_ABOUT)} AS {column.name}" for column in columns if not column.generated
    )
    made = "".join(f", ({column.generated}) AS {column.name}" for column in columns if column.generated)
    row = f"SELECT coupons.*{made} FROM (SELECT {plain}) AS coupons"  # noqa: S608 - the server's own
    return f"SELECT {check.expression} FROM ({row}) AS coupons"  # noqa: S608 - the server's own
