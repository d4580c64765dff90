"""Drills have teeth: each claim that is wrong on purpose makes the drills FAIL that should catch it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.drills.reports.text import report_lines
from tests.support.mutants import MUTANTS, give_back_kept, give_back_leaked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits

pytestmark = pytest.mark.ci


@dataclass(frozen=True)
class Killers:
    """The drills that must FAIL on a mutant, and checks that must then be among the broken ones."""

    drills: tuple[str, ...]
    checks: frozenset[str] = frozenset()
    """Of the first of the drills."""
    why_one: str = ""
    """Why one drill with one check is right."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """What the drills are given besides, so that the mutant shows sooner."""


def killers(*drills: str, checks: tuple[str, ...] = (), why_one: str = "", **given: Any) -> Killers:
    return Killers(drills, frozenset(checks), why_one, given)


KILLED_BY = {
    "no lock": killers("flash-sale", "scale", "stampede", "oversell-guard", "deadlock", "double-dip"),
    "decrement first": killers("double-dip", "violation-storm", "mixed-load"),
    "no decrement": killers("flash-sale", "mixed-load", "interleave"),
    "duplicates let through": killers("double-dip", "violation-storm"),
    "answer before commit": killers("flash-sale", "stampede", "interleave"),
    "error swallowed": killers("double-dip", "mixed-load"),
    "sold out when busy": killers("double-dip", "mixed-load", "query-timeout"),
    "batch in two commits": killers("partial-failure", "flash-sale"),
    "units for attempts": killers("mixed-load", checks=("remaining-matches-claims", "drawn-sale-claimed")),
    "first passed over": killers("flash-sale", "oversell-guard"),
    "first come refused": killers("flash-sale", "scale", "oversell-guard"),
    "sold out too early": killers("stampede", "oversell-guard"),
    "timeout is sold out": killers("query-timeout", "leak-check"),
    "exhaustion is sold out": killers("pool-exhaustion", checks=("claims-exhausted", "sold-out-too-early")),
    "failure is success": killers("partial-failure", checks=("users-told-claimed-twice", "failures-told")),
    "unknown is failure": killers(
        "connection-drop", checks=("refused-users-with-claim", "lost-answers-claimed")
    ),
    "driver text": killers("violation-storm", "double-dip"),
    "connection leaked": killers("leak-check", "flash-sale"),
    "not found for good": killers("interleave", checks=("second-tries-won", "not-found-after-create")),
    "input tidied": killers("input-boundary", checks=("invalid-inputs-refused", "coupons-in-tables")),
    "cancellation ignored": killers(
        "cancellation", checks=("slowest-cancellation", "half-done-claims"), at_once=0.5
    ),
    "winners forgotten": killers(
        "oversell-guard", checks=("winners-already-claimed", "claimants-told-otherwise")
    ),
    "refusal of another": killers("flash-sale", "oversell-guard", "stampede"),
    "users without case": killers("input-boundary", checks=("users-alike", "inputs-unchanged")),
    "coupons without case": killers("input-boundary", "flash-sale"),
    "amounts capped": killers(
        "input-boundary",
        checks=("amount-as-created",),
        why_one="no other drill has business with a thousand million units",
    ),
    "refused create adds": killers("interleave", "mixed-load"),
    "last unit kept": killers("mixed-load", checks=("drawn-sale-claimed", "sold-out-with-units-left")),
    "ghost coupon": killers("input-boundary", "flash-sale", checks=("coupons-never-asked-for",)),
    "every tenth dropped": killers("mixed-load", checks=("list-answers-wrong", "acknowledged-claims-lost")),
    "stale show": killers("flash-sale", "interleave", "mixed-load"),
    "claimant forgotten": killers("flash-sale", "stampede"),
    "claims not found": killers("flash-sale", "double-dip"),
    "list wrong": killers("flash-sale", "input-boundary"),
    "claimant skipped between pages": killers("mixed-load", "scale", checks=("claimants-wrong",)),
    "claimant repeated between pages": killers("mixed-load", "scale", checks=("claimants-misplaced",)),
    "list by name only": killers("mixed-load", "input-boundary", checks=("list-orders-wrong",)),
    "list ends with its page": killers("mixed-load", "input-boundary", checks=("list-orders-wrong",)),
    "claim of another coupon found": killers("mixed-load", "input-boundary", checks=("find-claim-wrong",)),
    "oldest for newest": killers("leak-check", "mixed-load", checks=("newest-wrong",)),
    "create dated by the client": killers("flash-sale", "input-boundary", checks=("create-wrong",)),
    "refusal of another coupon": killers("flash-sale", "stampede", checks=("answers-about-others",)),
    "answer to another": killers("flash-sale", "double-dip", "deadlock", checks=("answers-about-others",)),
    "failed claim remembered": killers("partial-failure", "query-timeout", checks=("second-tries-won",)),
    "unit of a failed claim kept": killers("partial-failure", "query-timeout"),
    "lost answer is a win": killers(
        "connection-drop",
        checks=("users-told-claimed-twice",),
        why_one="no other drill loses the answer to somebody who has claimed before",
    ),
    "failed list wins": killers("partial-failure", checks=("list-failures-told", "users-told-claimed-twice")),
    "leading zeros dropped": killers("input-boundary", checks=("users-alike", "inputs-unchanged")),
    "coupon nearly found": killers("input-boundary", checks=("names-nearly-right", "answers-about-others")),
    "filter knows wildcards": killers(
        "input-boundary",
        checks=("filters-misread",),
        why_one="no other drill has such names",
    ),
    "waits in vain not counted": killers(
        "pool-exhaustion", checks=("failures-counted",), why_one="nobody else waits in vain for a connection"
    ),
    "lock in the client only": killers(
        "oversell-guard", checks=("beside-another-sold-out", "beside-another-claimants")
    ),
    "no claim remembered": killers("mixed-load", checks=("answers-stale", "find-claim-wrong")),
    "show of a second before": killers(
        "mixed-load",
        checks=("answers-stale",),
        why_one="it alone asks the same again within a second, and shows are right again at rest",
    ),
    "list cut at a thousand": killers(
        "mixed-load", checks=("list-answers",), why_one="no other drill claims for a list that long"
    ),
    "list for no coupon": killers(
        "mixed-load", checks=("list-of-no-coupon",), why_one="no other drill claims for lists of no coupon"
    ),
    "sold anew": killers("oversell-guard", checks=("create-again", "claims-rewritten")),
    "lost units not verified": killers(
        "oversell-guard",
        checks=("damage-verified",),
        why_one="no other drill writes past the claim path, and so none has damage to be seen",
    ),
    "temporary table left": killers("flash-sale", "double-dip", checks=("settings-left",)),
    "listening left": killers("flash-sale", "double-dip", checks=("settings-left",)),
    "foreign keys asleep": killers("oversell-guard", checks=("impossible-claims-refused", "audit-findings")),
    "130th claim is a lie": killers("leak-check", "mixed-load", checks=("acknowledged-claims-lost",)),
    "verify blind": killers(
        "oversell-guard",
        checks=("damage-verified",),
        why_one="no other drill writes past the claim path, and so none has damage to be seen",
    ),
    "duplicate rewrites": killers("oversell-guard", "violation-storm", checks=("claims-rewritten",)),
    "refusals committed": killers(
        "oversell-guard", "flash-sale", "stampede", checks=("unbalanced-at-any-time",)
    ),
    "lost answer looked up": killers(
        "connection-drop", checks=("refused-users-with-claim", "lost-answers-claimed")
    ),
    "lost answer looked up, in a transaction": killers(
        "connection-drop", checks=("refused-users-with-claim", "lost-answers-claimed")
    ),
    "victim takes two": killers("deadlock", checks=("remaining-matches-claims", "audit-findings")),
    "victim wins": killers("deadlock", checks=("acknowledged-claims-lost", "victim-always")),
    "victim is refused": killers("deadlock", checks=("victim-once", "victim-always")),
    "lost batch is failure": killers(
        "connection-drop", checks=("refused-users-with-claim", "lost-answers-claimed")
    ),
    "late batch is sold out": killers("query-timeout", checks=("timeouts-told", "sold-out-too-early")),
    "locks left": killers("flash-sale", "leak-check"),
    "settings left": killers("flash-sale", "double-dip"),
    "threads left": killers("leak-check", "flash-sale"),
    "memory left": killers(
        "leak-check", checks=("memory-left",), why_one="it alone goes round until a megabyte a claim shows"
    ),
    "claims vanish": killers("flash-sale", "connection-drop"),
    "claims dated for ever": killers("flash-sale", "leak-check", checks=("times-outside-the-drill",)),
    "claims backdated": killers("flash-sale", "double-dip"),
    "two of very many taken": killers(
        "input-boundary", checks=("remaining-matches-claims", "audit-findings")
    ),
    "punctuation ignored": killers("input-boundary", checks=("users-alike", "claims-won")),
    "claims dated as their coupon": killers("leak-check", "cancellation", checks=("claims-out-of-order",)),
    "no check constraint": killers(
        "oversell-guard", checks=("impossible-counters-refused", "audit-findings")
    ),
}

PAIRS = [(mutant, drill) for mutant, killers in KILLED_BY.items() for drill in killers.drills]


@pytest.fixture(autouse=True)
async def nothing_leaked() -> AsyncIterator[None]:
    yield
    await give_back_leaked()
    give_back_kept()


def test_every_mutant_has_two_killers_and_every_drill_kills() -> None:
    assert {mutant.name for mutant in MUTANTS} == set(KILLED_BY)
    assert {drill.name for drill in DRILLS} == {drill for _, drill in PAIRS}
    for name, each in KILLED_BY.items():
        assert len(each.drills) > 1 or len(each.checks) > 1 or each.why_one, name


@pytest.mark.parametrize(("mutant_name", "drill_name"), PAIRS)
async def test_a_mutant_is_caught(mutant_name: str, drill_name: str, server: Server, limits: Limits) -> None:
    (mutant,) = (mutant for mutant in MUTANTS if mutant.name == mutant_name)
    (drill,) = (drill for drill in DRILLS if drill.name == drill_name)

    spec = drill.spec(limits, KILLED_BY[mutant_name].given, strategy=mutant.strategy)
    report = await run_drill(spec, Target(server, limits, mutant.service_class))

    assert report.verdict is Verdict.FAIL, "\n".join(report_lines(report))
    if drill_name == KILLED_BY[mutant_name].drills[0]:
        assert KILLED_BY[mutant_name].checks <= {check.id for check in report.broken}
