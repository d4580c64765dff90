from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.histogram import BUCKETS
from couponctl.tui.widgets.gauges import gauge, histogram_content


@pytest.mark.parametrize(
    ("value", "whole", "drawn"),
    [
        (0, 10, "──────────"),
        (10, 10, "━━━━━━━━━━"),
        (5, 10, "━━━━━─────"),
        (1, 1_000_000, "━─────────"),
        (999_999, 1_000_000, "━━━━━━━━━─"),
        (20, 10, "━━━━━━━━━━"),
        (-3, 10, "──────────"),
        (0, 0, "──────────"),
    ],
)
def test_only_all_looks_full_and_only_nothing_looks_empty(value: float, whole: float, drawn: str) -> None:
    assert "".join(gauge(value, whole, 10)) == drawn


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(2, 80))
def test_a_gauge_is_as_wide_as_it_should_be(value: int, whole: int, width: int) -> None:
    assert len("".join(gauge(value, whole, width))) == width


def test_a_histogram_shows_every_outcome_however_few_there_are() -> None:
    many, one = [0] * BUCKETS, [0] * BUCKETS
    many[3], one[3] = 100_000, 1
    drawn = histogram_content({"claimed": tuple(one), "sold_out": tuple(many)}, 60, 8).plain

    assert "█▓" in drawn
    assert "100,001" in drawn
    assert "█ claimed" in drawn
    assert "▓ sold out" in drawn
