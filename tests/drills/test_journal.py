"""The checker, on histories written by hand: good ones hold, and each kind of lie is caught by its check."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.drills.journal import Entry, Ledger, answer_checks, ledger_checks, recovered, time_checks
from couponctl.errors import AlreadyClaimed, SoldOut
from couponctl.models import Claim, Coupon, Outcome, Phases

CLAIMED, ALREADY, SOLD_OUT, UNKNOWN, NOT_FOUND = (
    Outcome.CLAIMED,
    Outcome.ALREADY_CLAIMED,
    Outcome.SOLD_OUT,
    Outcome.UNKNOWN,
    Outcome.NOT_FOUND,
)


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def said(
    user: str, outcome: Outcome, start: float = 0.0, end: float = 1.0, *, resolved: bool = False
) -> Entry:
    return Entry("X", user, start, start, end, outcome, resolved=resolved)


def ledger(*users: str, amount: int = 2, remaining: int | None = None) -> Ledger:
    left = amount - len(users) if remaining is None else remaining
    return Ledger(Coupon("X", amount, left, None), tuple(Claim(user, NOON) for user in users), NOON)


def broken(entries: list[Entry], final: Ledger) -> list[str]:
    return [check.id for check in ledger_checks(entries, final, final.coupon.amount) if not check.held]


def broken_in_time(entries: list[Entry]) -> list[str]:
    return [check.id for check in time_checks(entries, created=0.0) if not check.held]


@pytest.mark.parametrize(
    ("entries", "final"),
    [
        ([], ledger()),
        ([said("a", CLAIMED), said("b", CLAIMED), said("c", SOLD_OUT)], ledger("a", "b")),
        ([said("a", CLAIMED), said("a", ALREADY)], ledger("a")),
        ([said("a", UNKNOWN)], ledger("a")),
        ([said("a", UNKNOWN)], ledger()),
        ([said("a", ALREADY, resolved=True)], ledger("a")),
        ([said("a", UNKNOWN), said("a", ALREADY)], ledger("a")),
    ],
)
def test_an_honest_history_holds(entries: list[Entry], final: Ledger) -> None:
    assert broken(entries, final) == []


@pytest.mark.parametrize(
    ("entries", "final", "promise"),
    [
        ([said("a", CLAIMED)], ledger(), "acknowledged-claims-lost"),
        ([said("a", ALREADY, resolved=True)], ledger(), "acknowledged-claims-lost"),
        ([], ledger("ghost"), "claims-never-attempted"),
        ([said("a", SOLD_OUT)], ledger("a"), "refused-users-with-claim"),
        ([said("a", Outcome.TIMED_OUT)], ledger("a"), "refused-users-with-claim"),
        ([said("a", ALREADY)], ledger(), "already-claimed-without-claim"),
        ([said("a", CLAIMED), said("a", CLAIMED)], ledger("a"), "users-told-claimed-twice"),
        ([said("a", CLAIMED)], ledger("a", "a"), "users-with-two-rows"),
        ([said("a", CLAIMED)], ledger("a", remaining=2), "remaining-matches-claims"),
        ([said("a", CLAIMED)], ledger("a", remaining=0), "remaining-matches-claims"),
        ([said("a", SOLD_OUT)], ledger(), "sold-out-with-units-left"),
        ([said("a", SOLD_OUT)], ledger(amount=1), "sold-out-with-units-left"),
        (
            [said(user, CLAIMED) for user in "abc"],
            ledger("a", "b", "c", remaining=-1),
            "oversold",
        ),
    ],
)
def test_each_lie_breaks_its_promise(entries: list[Entry], final: Ledger, promise: str) -> None:
    assert promise in broken(entries, final)


@pytest.mark.parametrize(
    ("sentence", "leaks"),
    [
        ('"X" is sold out: "user-10000" got none.', False),
        ("the server said 40P01 to user-10000.", True),
        ("duplicate key violates a rule.", True),
    ],
)
def test_the_words_of_the_database_are_found_but_no_user_id_is_taken_for_them(
    sentence: str, leaks: bool
) -> None:
    _, words, _ = answer_checks([replace(said("user-10000", SOLD_OUT), sentence=sentence)])

    assert words.held is not leaks


@pytest.mark.parametrize(
    ("user", "sentence", "own"),
    [
        ("a", str(SoldOut("X", "a")), True),
        ("a", str(AlreadyClaimed("X", "b")), False),
        ("a", str(SoldOut("Y", "a")), False),
        ("a\nb", str(SoldOut("X", "a\nb")), True),
    ],
)
def test_a_refusal_names_its_own_user_and_coupon(user: str, sentence: str, own: bool) -> None:
    *_, about = answer_checks([replace(said(user, SOLD_OUT), sentence=sentence)])

    assert about.held is own


def test_the_amount_is_held_against_what_was_created() -> None:
    checks = ledger_checks([], ledger(amount=3), amount=2)

    assert [check.id for check in checks if not check.held] == ["amount-as-created"]


def test_a_claim_without_an_answer_that_is_in_the_ledger_is_recovered() -> None:
    entries = [said("a", UNKNOWN), said("b", UNKNOWN), said("c", CLAIMED), said("d", ALREADY, resolved=True)]

    assert recovered(entries, ledger("a", "c", "d")) == {"a", "d"}


def test_sold_out_before_a_later_claim_was_won_is_caught() -> None:
    entries = [said("hasty", SOLD_OUT, 0.0, 0.1), said("late", CLAIMED, 0.2, 0.3)]

    assert broken_in_time(entries) == ["sold-out-too-early"]
    assert time_checks(entries, created=0.0)[0].observed == "1: hasty"


@pytest.mark.parametrize("told", [0.2, 0.25])
def test_sold_out_while_the_winning_claim_was_under_way_is_fair(told: float) -> None:
    entries = [said("loser", SOLD_OUT, 0.0, told), said("winner", CLAIMED, 0.2, 0.3)]

    assert all(check.held for check in time_checks(entries, created=0.0))


def test_a_winner_counts_from_when_it_had_a_connection() -> None:
    """Everybody of a storm starts at once; what the server hears later started later."""
    winner = replace(said("winner", CLAIMED, 0.0, 0.3), phases=Phases(pool_wait=0.2))

    assert broken_in_time([said("hasty", SOLD_OUT, 0.0, 0.1), winner]) == ["sold-out-too-early"]


@pytest.mark.parametrize("denied", [SOLD_OUT, NOT_FOUND])
@pytest.mark.parametrize("told", [CLAIMED, ALREADY])
def test_who_has_one_is_not_told_otherwise_afterwards(told: Outcome, denied: Outcome) -> None:
    fair = [said("a", told, 0.0, 0.4), said("a", denied, 0.3, 0.5), said("b", denied, 0.6, 0.7)]

    assert "claimants-told-otherwise" not in broken_in_time(fair)
    assert "claimants-told-otherwise" in broken_in_time([*fair, said("a", denied, 0.5, 0.6)])


def test_who_is_told_twice_that_he_has_one_has_it_since_the_first_time() -> None:
    told = [said("a", CLAIMED, 0.0, 0.1), said("a", ALREADY, 0.0, 0.9)]

    assert broken_in_time([*told, said("a", SOLD_OUT, 0.5, 0.6)]) == ["claimants-told-otherwise"]


@pytest.mark.parametrize(("start", "held"), [(0.4, True), (0.5, True), (0.6, False)])
def test_not_found_is_fair_only_until_the_coupon_is_there(start: float, held: bool) -> None:
    entries = [said("a", NOT_FOUND, start, 1.0)]

    assert time_checks(entries, created=0.5)[1].held is held


def test_every_check_has_its_id_and_says_what_it_counts() -> None:
    checks = [*answer_checks([]), *ledger_checks([], ledger(), 2), *time_checks([], None)]

    assert {check.id: check.promise for check in checks} == {
        "unexpected-errors": "attempts with an unexpected error",
        "database-error-text": "answers with database error text",
        "answers-about-others": "answers that do not name their own user and coupon",
        "acknowledged-claims-lost": "acknowledged claims missing from the ledger",
        "claims-never-attempted": "claims in the ledger that no user attempted",
        "refused-users-with-claim": "refused users with a claim in the ledger",
        "already-claimed-without-claim": 'users told "already claimed" without a claim in the ledger',
        "users-told-claimed-twice": 'users told "claimed" more than once',
        "users-with-two-rows": "users with more than one claim in the ledger",
        "remaining-matches-claims": "remaining = amount - claims in the ledger",
        "amount-as-created": "the amount is as created",
        "sold-out-with-units-left": 'users told "sold out" of a coupon that has units left',
        "oversold": "units oversold",
        "sold-out-too-early": 'users told "sold out" before a claim that started later was won',
        "not-found-after-create": 'users told "not found" after the coupon was created',
        "claimants-told-otherwise": 'users who have one and were told "sold out" or "not found" afterwards',
    }


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(1, 5), st.data())
def test_a_sale_told_truly_holds_and_with_one_lie_does_not(
    askers: list[str], amount: int, data: st.DataObject
) -> None:
    """A sale played out one claim after the other; then one winner's row is taken away."""
    winners: list[str] = []
    entries = []
    for moment, user in enumerate(askers):
        if user in winners:
            outcome = ALREADY
        elif len(winners) < amount:
            winners.append(user)
            outcome = data.draw(st.sampled_from([CLAIMED, UNKNOWN]))
        else:
            outcome = SOLD_OUT
        entries.append(said(user, outcome, moment, moment + 0.5))

    final = ledger(*winners, amount=amount)
    assert broken(entries, final) == []
    assert all(check.held for check in time_checks(entries, created=-1.0))

    told = [entry.user_id for entry in entries if entry.outcome is CLAIMED]
    if told:
        victim = data.draw(st.sampled_from(told))
        assert broken(entries, ledger(*(user for user in winners if user != victim), amount=amount))
