"""What a command costs beside the libraries that it cannot do without."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

import pytest

from tests.ratios.programs import COUPONCTL, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Couponctl

pytestmark = pytest.mark.benchmark

ROUNDS = 21
"""The two take turns, so that a slow moment of the machine meets both."""

CLICK = (sys.executable, "-c", "import click")
LIBRARIES = (sys.executable, "-c", "import sqlalchemy.ext.asyncio, asyncpg")


def ratio(name: str, measured: Callable[[int], float], baseline: Callable[[], float]) -> float:
    pairs = [(measured(turn), baseline()) for turn in range(ROUNDS)]
    own = statistics.median(pair[0] for pair in pairs) * 1000
    others = statistics.median(pair[1] for pair in pairs) * 1000
    print(f"\n{name}: {own:.0f} ms, baseline {others:.0f} ms, ratio {own / others:.2f}")  # noqa: T201
    return own / others


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_no_more_than_twice_the_import_of_click(option: str) -> None:
    assert ratio(option, lambda _: run(*COUPONCTL, option).seconds, lambda: run(*CLICK).seconds) <= 2.0


def test_a_claim_end_to_end(couponctl: Couponctl, database_url: str) -> None:
    couponctl("create", "SPRING", "100000")
    there = {"COUPONCTL_URL": database_url}

    def claim(turn: int) -> float:
        return run(*COUPONCTL, "claim", "SPRING", f"user-{turn}", environment=there).seconds

    assert ratio("claim", claim, lambda: run(*LIBRARIES).seconds) <= 1.6
