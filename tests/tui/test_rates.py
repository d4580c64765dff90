from __future__ import annotations

import pytest

from couponctl.tui.rates import Rates, rate_words
from tests.support.tui.scenes import coupon


def noted(*readings: tuple[float, int]) -> Rates:
    """Rates of a coupon that had so many units left at these moments."""
    rates = Rates()
    for at, left in readings:
        rates.note([coupon("SPRING", 1_000, left)], at)
    return rates


@pytest.mark.parametrize(
    ("readings", "rate"),
    [
        ((), 0),
        (((0, 1_000),), 0),
        (((0, 1_000), (1, 990)), 10),
        (((0, 1_000), (1, 990), (2, 990)), 5),
        (((0, 1_000), (1, 500), (6, 490)), 2),
        (((0, 1_000), (0, 900)), 0),
        (((0, 500), (1, 900)), 0),
    ],
    ids=("never read", "read once", "ten a second", "slower", "five seconds back", "no time", "refilled"),
)
def test_a_rate_is_taken_over_the_last_seconds(readings: tuple[tuple[float, int], ...], rate: float) -> None:
    assert noted(*readings).of("SPRING") == rate


def test_a_coupon_that_left_the_page_is_forgotten() -> None:
    rates = noted((0, 1_000), (1, 990))
    rates.note([], 2)
    rates.note([coupon("SPRING", 1_000, 500)], 3)

    assert rates.of("SPRING") == 0


@pytest.mark.parametrize(("rate", "words"), [(0, "0"), (0.25, "0.2"), (9.96, "10.0"), (1234.5, "1,234")])
def test_words_for_a_rate(rate: float, words: str) -> None:
    assert rate_words(rate) == words
