"""The ids of checks in old reports, which identified checks by their sentences."""

from __future__ import annotations

import re

from couponctl.drills.check import Check
from couponctl.drills.reports.decode import flat, of

_IN_TIME = re.compile(r"the attack ends within .* s")

_IDS = {
    "no attempt ends in an error that nobody expects": "unexpected-errors",
    "no answer holds the database's own words": "database-error-text",
    "no acknowledged claim is lost": "acknowledged-claims-lost",
    "no claim is in the ledger that nobody attempted": "claims-never-attempted",
    "nobody who was refused is in the ledger": "refused-users-with-claim",
    'nobody is told "already claimed" who has no claim': "already-claimed-without-claim",
    'nobody is told "claimed" twice': "users-told-claimed-twice",
    "one row a user": "users-with-two-rows",
    "remaining = amount - claims in the ledger": "remaining-matches-claims",
    "no claim beyond the units": "oversold",
    'no "sold out" before a claim that started later was won': "sold-out-too-early",
    'no "not found" after the coupon was created': "not-found-after-create",
    "the audit of the ledger finds nothing": "audit-findings",
    "every connection is back in the pool": "connections-in-use",
    "nobody waits for a connection": "connection-waits",
    "no backend is idle in transaction": "idle-in-transaction",
    "no backend waits for a lock": "lock-waits",
    "no task is left running": "tasks-left",
    "no file descriptor is left open": "descriptors-left",
    "no backend is left on the server": "backends-left",
    "exactly the stock is claimed": "stock-claimed",
    'everybody else hears "sold out"': "others-sold-out",
    "nobody hears anything else": "other-answers",
    "remaining": "remaining",
    "distinct users in the ledger": "distinct-users",
    "nobody waits in vain for a connection": "acquire-timeouts",
    "the table itself refuses an impossible counter": "impossible-counters-refused",
    "the user gets one": "claims-won",
    'every other claim hears "already claimed"': "others-already-claimed",
    "no claim hears anything else": "other-answers",
    "claimed by": "claimants",
    "never two rows, not even briefly": "claims-of-a-user-at-any-time",
    "each new name is created once": "creates-won",
    "and exists for the others": "creates-refused",
    "each user gets one of each coupon": "claims-won",
    "and has it already after that": "claims-refused",
    "every show finds its coupon, within its stock": "shows",
    "nothing else is answered": "expected-answers",
    "a claim before any create finds nothing": "claim-before-create",
    "one create wins": "creates-won",
    'every other create hears "exists"': "creates-refused",
    "who came before the coupon wins the second time": "second-tries-won",
    "so that everybody has one, as far as the stock goes": "claims-won",
    "the ledger holds the claims that were won": "claims-in-ledger",
    "every round returns to where it began": "left-after-a-round",
    "claims were won": "claims-won",
    "claims were refused": "claims-sold-out",
    "claims timed out": "claims-timed-out",
    "claims were cancelled": "claims-cancelled",
    "one backend is terminated at each point inside the claim": "backends-terminated",
    "every claim with a lost answer is resolved": "unresolved-lost-answers",
    "the next claims find healthy connections": "claims-afterwards",
    "every claim that fails halfway is told so": "failures-told",
    "nothing of it remains in the ledger": "half-done-claims",
    "nor in the counter": "remaining",
    "the next claim works": "claim-afterwards",
    "of two that lock each other out, one goes through": "deadlock-survivors",
    "the other is refused cleanly": "deadlock-victims",
    "both rows can be claimed again": "claims-afterwards",
    "every cancelled claim ends at once": "slowest-cancellation",
    "nothing remains of claims cancelled before their commit": "half-done-claims",
    "the following claims work": "claims-afterwards",
    "while the pool is held, every claim is refused as exhausted": "claims-exhausted",
    "none is refused before its wait is over": "refused-too-early",
    "none hangs beyond its wait": "slowest-refusal",
    "after the release every retry is won": "retries-won",
    "a claim that times out is told so": "timeouts-told",
    "a statement that sleeps ends at statement_timeout": "sleep-ends",
    "a claim that is slow after its insert ends there too": "slow-claim-ends",
    "a claim behind a held row ends at lock_timeout": "lock-wait-ends",
    "the connections go on to serve claims": "claims-afterwards",
    "what is accepted comes back byte for byte": "inputs-unchanged",
    "everything else is refused as invalid": "invalid-inputs-refused",
    "and before anything is sent to the database": "sql-for-invalid-inputs",
    "the tables hold what was accepted": "coupons-in-tables",
    "every good user has claimed": "claims-won",
}
"""Sentence -> id."""


def check_of(document: object) -> Check:
    """A check of a report. Raises Invalid."""
    given = of(dict, document, "check")
    promise = of(str, given.get("promise"), "promise")
    return flat(Check, {"id": _id_of(promise), **given})


def _id_of(promise: str) -> str:
    if _IN_TIME.fullmatch(promise):
        return "attack-in-time"
    # A check that failed for one coupon of several names it after its sentence.
    return _IDS.get(promise) or _IDS.get(re.sub(r" \(.*\)$", "", promise)) or promise
