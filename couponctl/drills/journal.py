"""The journal of a drill's attempts, and the checks that compare it with the ledger and the clock.

After Jepsen's set checker: a claim that was acknowledged but is absent is lost, one that is present but was
never attempted is unexpected, one that got no answer but is present is recovered.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.drills.check import Check, equals, none_of
from couponctl.models import Claim, Coupon, Outcome, Phases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt. Times are seconds on one monotonic clock."""

    coupon: str
    user_id: str
    intended: float
    """When it should have started; waiting in the client's own queue counts as latency."""
    start: float
    end: float
    outcome: Outcome
    sentence: str = ""
    """The answer as the user would read it; empty for CLAIMED."""
    phases: Phases = Phases()
    resolved: bool = False
    """The first answer was lost; this one is to the same claim, made again."""
    unexpected: bool = False
    """The attempt ended in an error that no user should see; the outcome is UNKNOWN."""
    misaddressed: bool = False
    """The answer was to another user's claim, or about another coupon."""

    @property
    def latency(self) -> float:
        """Seconds from the intended start to the answer."""
        return self.end - self.intended

    @property
    def sent(self) -> float:
        """When the attempt got its connection; the server did not know of it before."""
        return self.start + (self.phases.pool_wait or 0.0)

    @property
    def acknowledged(self) -> bool:
        """Whether the user was told that they have the claim."""
        return self.outcome is Outcome.CLAIMED or (self.resolved and self.outcome is Outcome.ALREADY_CLAIMED)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The final read of one coupon: its counter and all its claims, ordered by user."""

    coupon: Coupon
    claims: tuple[Claim, ...]
    read_at: datetime
    """On the server's clock, like the times of the claims."""

    @property
    def claimed_by(self) -> tuple[str, ...]:
        """The user id of every row."""
        return tuple(claim.user_id for claim in self.claims)


@dataclass(frozen=True, slots=True)
class Creation:
    """A coupon that the service reported as created."""

    amount: int
    acknowledged: float
    """When, on the clock of the entries."""
    told: Coupon
    """The coupon as the service returned it."""


_DATABASE_TEXT = re.compile(
    r"SELECT |INSERT |UPDATE |SQLSTATE|\b[0-9]{2}[0-9A-Z]{3}\b|violates|constraint|_pkey|canceling|"
    r"asyncpg|sqlalchemy|psycopg|Error\b|Traceback",
)


class Journal:
    """What was attempted and answered, in the order of the answers."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.asked: set[str] = set()
        """Coupons that the service was asked to create, whatever the answer."""
        self.created: dict[str, Creation] = {}
        """By coupon name."""

    def tally(self) -> dict[Outcome, int]:
        counted = Counter(entry.outcome for entry in self.entries)
        return {outcome: counted[outcome] for outcome in Outcome if counted[outcome]}

    @property
    def duration(self) -> float:
        """Seconds from the first intended start to the last answer."""
        if not self.entries:
            return 0.0
        return max(e.end for e in self.entries) - min(e.intended for e in self.entries)

    def of(self, coupon: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.coupon == coupon]


def answer_checks(entries: Sequence[Entry]) -> list[Check]:
    unexpected = {f"{e.user_id}: {e.sentence}" for e in entries if e.unexpected}
    leaking = {f"{e.user_id}: {e.sentence}" for e in entries if _DATABASE_TEXT.search(_own_words(e))}
    return [
        none_of("unexpected-errors", "attempts with an unexpected error", unexpected),
        none_of("database-error-text", "answers with database error text", leaking),
        none_of(
            "answers-about-others",
            "answers that do not name their own user and coupon",
            (e.user_id for e in entries if _names_another(e)),
        ),
    ]


def _names_another(entry: Entry) -> bool:
    refused = entry.outcome in {Outcome.SOLD_OUT, Outcome.ALREADY_CLAIMED}
    names = (entry.coupon, entry.user_id) if refused else ()
    return entry.misaddressed or any(f'"{name}"' not in entry.sentence for name in names)


def _own_words(entry: Entry) -> str:
    """Return the sentence without the names that were given: user-10000 ends like an SQLSTATE."""
    return entry.sentence.replace(entry.user_id, "").replace(entry.coupon, "")


def ledger_checks(entries: Sequence[Entry], ledger: Ledger, amount: int) -> list[Check]:
    """Compare the answers to the users of one coupon with the ledger; `amount` is what was created."""
    present = set(ledger.claimed_by)
    by_user: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_user[entry.user_id].append(entry)
    acknowledged = {user for user, theirs in by_user.items() if any(e.acknowledged for e in theirs)}
    unanswered = {user for user, theirs in by_user.items() if any(_unanswered(e) for e in theirs)}
    told_already = {e.user_id for e in entries if e.outcome is Outcome.ALREADY_CLAIMED}
    wins = Counter(e.user_id for e in entries if e.outcome is Outcome.CLAIMED)
    return [
        none_of(
            "acknowledged-claims-lost",
            "acknowledged claims missing from the ledger",
            acknowledged - present,
        ),
        none_of(
            "claims-never-attempted",
            "claims in the ledger that no user attempted",
            present - set(by_user),
        ),
        none_of(
            "refused-users-with-claim",
            "refused users with a claim in the ledger",
            (present & set(by_user)) - acknowledged - unanswered,
        ),
        none_of(
            "already-claimed-without-claim",
            'users told "already claimed" without a claim in the ledger',
            told_already - present,
        ),
        none_of(
            "users-told-claimed-twice",
            'users told "claimed" more than once',
            [user for user, times in wins.items() if times > 1],
        ),
        *_stock_checks(entries, ledger, amount),
    ]


def _stock_checks(entries: Sequence[Entry], ledger: Ledger, amount: int) -> list[Check]:
    told_sold_out = {e.user_id for e in entries if e.outcome is Outcome.SOLD_OUT}
    rows = Counter(ledger.claimed_by)
    coupon = ledger.coupon
    return [
        none_of(
            "users-with-two-rows",
            "users with more than one claim in the ledger",
            [user for user, times in rows.items() if times > 1],
        ),
        equals(
            "remaining-matches-claims",
            "remaining = amount - claims in the ledger",
            coupon.amount - len(ledger.claims),
            coupon.remaining_amount,
        ),
        equals("amount-as-created", "the amount is as created", amount, coupon.amount),
        # Units never come back: one that is left now was available to these users.
        none_of(
            "sold-out-with-units-left",
            'users told "sold out" of a coupon that has units left',
            told_sold_out if coupon.remaining_amount > 0 else (),
        ),
        equals("oversold", "units oversold", 0, max(0, len(ledger.claims) - coupon.amount)),
    ]


def recovered(entries: Iterable[Entry], ledger: Ledger) -> set[str]:
    """Return the users who got no answer, or lost it, and have a claim nevertheless."""
    told = {e.user_id for e in entries if e.outcome is Outcome.CLAIMED}
    doubtful = {e.user_id for e in entries if _unanswered(e) or e.resolved}
    return (doubtful & set(ledger.claimed_by)) - told


def time_checks(entries: Sequence[Entry], created: float | None) -> list[Check]:
    """Check that no answer for one coupon is contradicted by an earlier or later one."""
    return [
        none_of(
            "sold-out-too-early",
            'users told "sold out" before a claim that started later was won',
            _too_early(entries),
        ),
        none_of(
            "not-found-after-create",
            'users told "not found" after the coupon was created',
            _missed(entries, created),
        ),
        none_of(
            "claimants-told-otherwise",
            'users who have one and were told "sold out" or "not found" afterwards',
            _told_otherwise(entries),
        ),
    ]


def _unanswered(entry: Entry) -> bool:
    return entry.outcome is Outcome.UNKNOWN


def _too_early(entries: Sequence[Entry]) -> Iterator[str]:
    last_win = max((e.sent for e in entries if e.outcome is Outcome.CLAIMED), default=None)
    if last_win is None:
        return
    for entry in entries:
        if entry.outcome is Outcome.SOLD_OUT and entry.end < last_win:
            yield entry.user_id


def _told_otherwise(entries: Sequence[Entry]) -> Iterator[str]:
    has: dict[str, float] = {}
    for entry in entries:
        if entry.outcome in {Outcome.CLAIMED, Outcome.ALREADY_CLAIMED}:
            has[entry.user_id] = min(entry.end, has.get(entry.user_id, entry.end))
    for entry in entries:
        denied = entry.outcome in {Outcome.SOLD_OUT, Outcome.NOT_FOUND}
        if denied and entry.start > has.get(entry.user_id, entry.start):
            yield entry.user_id


def _missed(entries: Sequence[Entry], created: float | None) -> Iterator[str]:
    for entry in entries:
        if entry.outcome is Outcome.NOT_FOUND and created is not None and entry.start > created:
            yield entry.user_id
