"""The inputs of the `input-boundary` drill, given to the command line itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.catalog.input_boundary import BAD_AMOUNTS, BAD_TEXTS, GOOD_AMOUNTS, GOOD_TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Couponctl


@pytest.mark.parametrize("text", GOOD_TEXTS.values(), ids=GOOD_TEXTS)
def test_what_is_accepted_comes_back_byte_for_byte(couponctl: Couponctl, text: str, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"{text}\n", "utf-8")

    assert couponctl("create", "--json", "--", text, "1").exit_code == 0
    assert couponctl("claim", "--plain", "--from", str(users), "--", text).exit_code == 0

    shown = json.loads(couponctl("show", "--json", "--", text).out)
    assert (shown["name"], shown["claimed_by"]) == (text, [text])


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_everything_else_is_one_sentence(couponctl: Couponctl, text: str) -> None:
    couponctl("create", "GOOD", "1")

    for answer in (couponctl("create", "--", text, "1"), couponctl("claim", "--", "GOOD", text)):
        assert answer.exit_code == 2
        assert answer.err.startswith("couponctl: ")
        assert answer.err.count("\n") == 1
    assert json.loads(couponctl("show", "GOOD", "--json").out)["claimed_by"] == []


@pytest.mark.parametrize("what", sorted(set(BAD_TEXTS) - {"nothing", "newline", "lone surrogate"}))
def test_a_bad_line_of_a_file_is_named(couponctl: Couponctl, what: str, tmp_path: Path) -> None:
    couponctl("create", "GOOD", "9")
    users = tmp_path / "users"
    users.write_text(f"alice\n{BAD_TEXTS[what]}\n", "utf-8", newline="")

    answer = couponctl("claim", "GOOD", "--from", str(users))

    assert answer.exit_code == 2
    assert "line 2" in answer.err
    assert json.loads(couponctl("show", "GOOD", "--json").out)["claimed_by"] == []


@pytest.mark.parametrize("amount", GOOD_AMOUNTS)
def test_amounts_that_are_a_stock(couponctl: Couponctl, amount: int) -> None:
    assert json.loads(couponctl("create", "X", str(amount), "--json").out)["amount"] == amount


@pytest.mark.parametrize("amount", BAD_AMOUNTS)
def test_amounts_that_are_none(couponctl: Couponctl, amount: int) -> None:
    assert couponctl("create", "--", "X", str(amount)).exit_code == 2
    assert json.loads(couponctl("list", "--json").out)["coupons"] == []
