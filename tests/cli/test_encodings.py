"""Databases that do not hold all characters, or hold bytes that are none: said in a sentence, exit code 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.ledger.schema import schema_sql
from tests.support.sessions import run_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Couponctl
    from tests.support.clones import Clones


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def encoded(
    request: pytest.FixtureRequest, clones: Clones, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Points couponctl at a database of that encoding; the encoding."""
    options = f"ENCODING '{request.param}' LOCALE_PROVIDER libc LOCALE 'C'"
    with clones.database("template0", options) as url:
        run_script(url, schema_sql())
        if request.param == "SQL_ASCII":
            run_script(url, "INSERT INTO coupons VALUES (E'caf\\xe9', 1, 1)")
        monkeypatch.setenv("COUPONCTL_URL", url)
        yield request.param


def test_what_the_encoding_holds_is_sold(couponctl: Couponctl, encoded: str) -> None:
    assert couponctl("create", "müsli", "2").out == "müsli: 2 units on sale\n"
    assert couponctl("claim", "müsli", "jürgen", "alice").exit_code == 0
    assert "jürgen" in couponctl("show", "müsli").out
    assert couponctl("verify").exit_code == 0


def test_a_character_that_it_has_not_is_refused(couponctl: Couponctl, encoded: str) -> None:
    couponctl("create", "X", "2")

    claimed = couponctl("claim", "X", "春節", "alice")
    created = couponctl("create", "春節", "2")

    if encoded == "LATIN1":
        why = "it has a character that the database's encoding does not have"
        assert (claimed.exit_code, claimed.out) == (2, "春節  refused\nalice  claimed\n")
        assert f'couponctl: The database refused "春節" for "X": {why}.\n' in claimed.err
        assert (
            created.err == f'couponctl: The database refused the coupon "春節": {why}. Nothing was written.\n'
        )
    else:
        assert claimed.exit_code == created.exit_code == 0


def test_bytes_that_are_no_text_are_said_to_be_so(couponctl: Couponctl, encoded: str) -> None:
    answer = couponctl("list")

    if encoded == "SQL_ASCII":
        assert answer.exit_code == 2
        assert "there is text that is not of the database's encoding" in answer.err
    else:
        assert answer.exit_code == 0
