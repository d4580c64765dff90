"""Drills have teeth: each claim that is wrong on purpose makes the drills FAIL that should catch it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.words import report_lines
from tests.mutants import MUTANTS, give_back_leaked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from couponctl.libpq import Server
    from couponctl.settings import Limits

pytestmark = pytest.mark.ci

KILLED_BY = {
    "no lock": ["flash-sale", "scale", "stampede", "oversell-guard", "deadlock", "double-dip"],
    "decrement first": ["double-dip", "violation-storm", "mixed-load"],
    "no decrement": ["flash-sale", "mixed-load", "interleave"],
    "duplicates let through": ["double-dip", "violation-storm"],
    "answer before commit": ["flash-sale", "stampede", "interleave"],
    "error swallowed": ["double-dip", "mixed-load"],
    "sold out when busy": ["double-dip", "mixed-load", "query-timeout"],
    "first come refused": ["flash-sale", "scale", "oversell-guard"],
    "sold out too early": ["stampede"],
    "timeout is sold out": ["query-timeout", "leak-check"],
    "exhaustion is sold out": ["pool-exhaustion"],
    "failure is success": ["partial-failure"],
    "unknown is failure": ["connection-drop"],
    "driver text": ["violation-storm", "double-dip"],
    "connection leaked": ["leak-check", "flash-sale"],
    "not found for good": ["interleave"],
    "input tidied": ["input-boundary"],
    "cancellation ignored": ["cancellation"],
    "claims vanish": ["flash-sale", "connection-drop"],
    "no check constraint": ["oversell-guard"],
}
"""Mutant -> the drills that must FAIL on it."""

PAIRS = [(mutant, drill) for mutant, drills in KILLED_BY.items() for drill in drills]


@pytest.fixture(autouse=True)
async def nothing_leaked() -> AsyncIterator[None]:
    yield
    await give_back_leaked()


def test_every_mutant_has_a_killer_and_every_drill_kills() -> None:
    assert {mutant.name for mutant in MUTANTS} == set(KILLED_BY)
    assert {drill.name for drill in DRILLS} == {drill for _, drill in PAIRS}


@pytest.mark.parametrize(("mutant_name", "drill_name"), PAIRS)
async def test_a_mutant_is_caught(mutant_name: str, drill_name: str, server: Server, limits: Limits) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == mutant_name)
    (drill,) = (drill for drill in DRILLS if drill.name == drill_name)

    report = await run_drill(drill, Target(server, limits, mutant.strategy, mutant.sale))

    assert report.verdict is Verdict.FAIL, "\n".join(report_lines(report))
