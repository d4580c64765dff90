"""Tables: every column in its place in a terminal, every cell in its column in Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import width

from couponctl.cli.list import coupon_table
from couponctl.models import Coupon
from couponctl.present import safe
from couponctl.present.table import Table, numbers, texts
from tests.support.scripts import NAMES, SCRIPTS

STOCK = texts("NAME") + numbers("LEFT") + texts("STATE")


def test_texts_stand_at_the_left_and_numbers_at_the_right() -> None:
    table = Table(STOCK, [("SPRING", "1", "live"), ("X", "1,000", "")])

    assert list(table.lines()) == [
        "NAME     LEFT  STATE",
        "SPRING      1  live",
        "X       1,000",
    ]
    assert list(table.markdown()) == [
        "| NAME | LEFT | STATE |",
        "| --- | ---: | --- |",
        "| SPRING | 1 | live |",
        "| X | 1,000 |  |",
    ]


def test_without_headings_no_line_is_for_them_but_in_markdown() -> None:
    table = Table(texts("") + numbers(""), [("a", "1")])

    assert list(table.lines()) == ["a  1"]
    assert list(table.markdown()) == ["|  |  |", "| --- | ---: |", "| a | 1 |"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert list(Table(STOCK, []).lines()) == ["NAME  LEFT  STATE"]
    assert list(Table(texts("", ""), []).lines()) == []


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="argument"):
        list(Table(texts("", ""), [("alone",)]).lines())


@pytest.mark.parametrize("name", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_columns_begin_in_one_place_whatever_is_before_them(name: str) -> None:
    coupons = [Coupon(each, 10, 4, datetime(2026, 11, 20, tzinfo=UTC)) for each in ("SPRING", name)]
    lines = list(coupon_table(coupons).lines())

    assert len({width(line.partition("●")[0]) for line in lines[1:]}) == 1, lines
    assert len({width(line) for line in lines[1:]}) == 1, lines


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4))
def test_every_row_of_a_table_is_equally_wide(rows: list[tuple[str, str]]) -> None:
    columns = texts("") + numbers("") + texts("")
    lines = Table(columns, [(safe(left), safe(right), "|") for left, right in rows]).lines()

    assert len({width(line) for line in lines}) == 1
