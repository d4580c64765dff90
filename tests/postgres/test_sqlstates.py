"""PostgreSQL's own list of errors: each is decided, and what a database can bring about is no bug of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.cli.exit_codes import ExitCode, exit_code_for
from couponctl.embedded import binary
from couponctl.errors import RefusedByDatabase, SchemaUnfit
from couponctl.postgres import sqlstates
from couponctl.postgres.errors import Stage, translated
from couponctl.postgres.sqlstates import MEANINGS, Meaning, ServerError, error_for

if TYPE_CHECKING:
    import asyncpg

    from couponctl.postgres.database import Database


def listed() -> list[str]:
    """Every SQLSTATE of the server that the tests bring along."""
    lines = (binary("postgres").parents[1] / "share" / "errcodes.txt").read_text().splitlines()
    fields = [line.split() for line in lines]
    return [field[0] for field in fields if len(field) >= 3 and field[1] in {"E", "W", "S"}]


LIST = listed()


def test_the_list_is_the_list() -> None:
    assert len(LIST) > 200
    assert {"23505", "P0001", "57P01", "XX000"} <= {*LIST}


@pytest.mark.parametrize("of_class", sorted({code[:2] for code in LIST}))
def test_somebody_has_decided_about_every_class(of_class: str) -> None:
    assert of_class in MEANINGS


async def test_whatever_a_function_of_the_database_raises_is_no_bug_of_ours(
    database: Database, other_session: asyncpg.Connection
) -> None:
    """The whole list, raised by the server one after the other."""
    for code in LIST:
        if code.startswith("00"):
            continue  # that is no error, and a function cannot raise it
        with pytest.raises(Exception, match="its own words") as raised:
            await other_session.execute(f"DO $$ BEGIN RAISE 'its own words' USING ERRCODE = '{code}'; END $$")

        error = translated(raised.value, database.server, database.limits, Stage.WORKING)

        assert error is not None, code
        assert exit_code_for(error) is not ExitCode.UNEXPECTED, code
        assert code not in str(error)


def said(code: str, *, in_function: bool = False, message: str = "their own words.") -> ServerError:
    return ServerError(code, message, None, None, in_function=in_function)


@pytest.mark.parametrize("code", LIST)
def test_of_our_own_sql_only_what_is_ours_alone_is_a_bug(code: str) -> None:
    ours = MEANINGS[code[:2]] is Meaning.OURS

    assert (error_for(said(code)) is None) is ours
    assert error_for(said(code, in_function=True)) is not None


@pytest.mark.parametrize("code", ["ZZ001", "C0DE1", "TS999"])
def test_codes_that_nobody_has_heard_of_are_refusals_in_their_own_words(code: str) -> None:
    error = error_for(said(code))

    assert isinstance(error, RefusedByDatabase)
    assert error.reason == "their own words"


def test_what_our_sql_finds_missing_is_a_failed_function_where_a_trigger_looked_for_it() -> None:
    assert isinstance(error_for(said("42883")), SchemaUnfit)
    assert isinstance(error_for(said("42883", in_function=True)), RefusedByDatabase)


def test_long_words_are_cut_and_lines_joined() -> None:
    error = error_for(said("P0001", message="a\n  b " + "x" * 1000))

    assert isinstance(error, RefusedByDatabase)
    assert error.reason.startswith("a b xxx")
    assert len(error.reason) == sqlstates._MOST_WORDS
