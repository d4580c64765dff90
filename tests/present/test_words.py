"""Backends and who blocks whom in words: short, on one line, and harmless whatever the database says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import iter_graphemes, width

from couponctl.models import Backend, Blocking
from couponctl.postgres.activity import blocking_chains
from couponctl.present import backend_row, blocking_line, cells, cut, safe, span
from tests.support.scripts import LETTERS, NAMES, SCRIPTS

HOLDER = Backend(
    7, "psql", "shop", "idle in transaction", "Client:ClientRead", 2.19, "SELECT\n\t 1  FOR UPDATE"
)
HIDDEN = Backend(8, "psql", "owner", "", "", None, None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (0.8, "0.8 s"),
        (59.99, "59.9 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (86_399, "23 h"),
        (200_000, "2 d"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


@given(st.text(max_size=40), st.integers(1, 30))
def test_a_cut_text_fits_and_says_that_it_was_cut(text: str, width: int) -> None:
    whole = safe(text)
    shown = cut(whole, width)

    assert cells(shown) <= width
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]) and cells(whole) > width)


NONSENSE = st.text(st.sampled_from(sorted({*"".join(SCRIPTS.values()), "…", "\\"})) | LETTERS, max_size=12)
"""Marks without a letter, letters with marks of other scripts: of these not even the width is agreed on."""


@given(NAMES | NONSENSE, st.integers(1, 30))
def test_a_cut_text_fits_and_no_letter_is_parted_from_its_marks(text: str, room: int) -> None:
    whole = safe(text)
    shown = cut(whole, room)

    assert width(shown) <= room
    if shown != whole:
        kept = list(iter_graphemes(shown.removesuffix("…")))
        assert kept == list(iter_graphemes(whole))[: len(kept)]
        assert width(whole) > room


@pytest.mark.parametrize(
    ("name", "room", "shown"),
    [
        (SCRIPTS["Thai"], 5, "ลดรา…"),
        (SCRIPTS["Thai"], 9, "ลดราคาครั้…"),
        (SCRIPTS["Devanagari"], 3, "त्यो…"),
        (SCRIPTS["decomposed Korean"], 4, f"{SCRIPTS['decomposed Korean'][:3]}…"),
        (SCRIPTS["variation selector"], 4, "❤\ufe0f…"),
        (SCRIPTS["flag"], 3, "🇩🇪…"),
        (SCRIPTS["skin"], 1, "…"),
    ],
)
def test_names_are_cut_between_characters(name: str, room: int, shown: str) -> None:
    assert cut(name, room) == shown


def test_a_backend_is_a_row_of_texts() -> None:
    assert backend_row(HOLDER, 10) == (
        "7",
        "psql",
        "shop",
        "idle in transaction",
        "Client:ClientRead",
        "2.1 s",
        "SELECT 1 …",
    )


def test_what_the_role_may_not_see_is_said_to_be_hidden() -> None:
    assert backend_row(HIDDEN, 40) == ("8", "psql", "owner", "hidden", "", "", "hidden from this role")
    assert blocking_line(Blocking(8, HIDDEN, 0, None)) == "8 psql (owner) hidden from this role"


@given(st.text(), st.text(), st.text(), st.text())
def test_every_text_of_the_database_comes_out_safe(
    application: str, user: str, wait: str, query: str
) -> None:
    backend = Backend(1, application, user, "active", wait, 1.0, query, (2,))

    for shown in (*backend_row(backend, 30), blocking_line(Blocking(1, backend, 1, 2))):
        assert safe(shown) == shown


def test_escapes_and_bidi_controls_are_spelled_out() -> None:
    backend = Backend(1, "a\x1b[31m", "b\u202e", "active", "", 1.0, "SELECT '\x1b]52;c;x\x07\u2066'")

    line = blocking_line(Blocking(1, backend, 0, None))

    assert line == r"1 a\u{1b}[31m (b\u{202e}) active 1.0 s: SELECT '\u{1b}]52;c;x\u{7}\u{2066}'"


def waiter(pid: int, *blocked_by: int) -> Backend:
    return Backend(pid, "couponctl/claim", "shop", "active", "Lock:tuple", 0.8, "UPDATE", blocked_by)


@pytest.mark.parametrize(
    ("backends", "lines"),
    [
        (
            (HOLDER, waiter(9, 7), waiter(10, 9, 7)),
            [
                "7 psql (shop) idle in transaction 2.1 s, last: SELECT 1 FOR UPDATE",
                "  9 couponctl/claim (shop) waits 0.8 s for 7: UPDATE",
                "  10 couponctl/claim (shop) waits 0.8 s for 7, 9: UPDATE",
            ],
        ),
        (
            (waiter(9, 3),),
            ["3, which has disconnected", "  9 couponctl/claim (shop) waits 0.8 s for 3: UPDATE"],
        ),
        (
            (waiter(9, 0),),
            [
                "a prepared transaction",
                "  9 couponctl/claim (shop) waits 0.8 s for a prepared transaction: UPDATE",
            ],
        ),
        ((waiter(9),), ["9 couponctl/claim (shop) waits 0.8 s for a lock: UPDATE"]),
        (
            (waiter(1, 2), waiter(2, 1)),
            [
                "1 couponctl/claim (shop) waits 0.8 s for 2, in a cycle: UPDATE",
                "  2 couponctl/claim (shop) waits 0.8 s for 1: UPDATE",
            ],
        ),
        (
            (HOLDER, waiter(9, 1, 2, 3, 4, 7)),
            [
                "1, which has disconnected",
                "  9 couponctl/claim (shop) waits 0.8 s for 1, 2, 3 and 2 more: UPDATE",
                "2, which has disconnected",
                "3, which has disconnected",
                "4, which has disconnected",
                "7 psql (shop) idle in transaction 2.1 s, last: SELECT 1 FOR UPDATE",
            ],
        ),
    ],
    ids=["a queue", "who has left", "prepared", "nobody knows", "a deadlock", "several blockers"],
)
def test_who_blocks_whom_reads_from_the_cause_down(backends: tuple[Backend, ...], lines: list[str]) -> None:
    assert [blocking_line(row) for row in blocking_chains(backends)] == lines
