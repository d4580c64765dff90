"""`claim NAME --from FILE`: every line is checked before the first claim, and it is safe to run again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from couponctl.lists.names import NameList
from tests.support.programs import finished, shown

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Couponctl, Sql


@pytest.fixture
def users(tmp_path: Path) -> Path:
    return tmp_path / "users.txt"


@pytest.fixture(autouse=True)
def spring(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")


def claimants(sql: Sql) -> list[str]:
    return [row[0] for row in sql("SELECT user_id FROM claims ORDER BY user_id")]


def outcomes(results: str) -> list[tuple[str, str]]:
    """What JSON lines say of each user."""
    documents = map(json.loads, results.splitlines())
    return [(document["user_id"], document["outcome"]) for document in documents]


def test_the_first_in_the_file_is_the_first_served(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    users.write_text("dora\nalice\ncarol\nbob\n")

    answer = couponctl("claim", "SPRING", "--from", str(users), "--results", "-")

    assert answer.exit_code == 10
    assert outcomes(answer.out) == [
        ("dora", "claimed"),
        ("alice", "claimed"),
        ("carol", "claimed"),
        ("bob", "sold_out"),
    ]
    assert answer.err == "SPRING: 3 claimed, 1 sold out\n"
    assert claimants(sql) == ["alice", "carol", "dora"]


@pytest.mark.parametrize(
    "content",
    [
        b"alice\nbob\n",
        b"alice\nbob",
        b"\n\nalice\n\n\nbob\n\n",
        b"alice\r\nbob\r\n",
        b"\r\nalice\r\n\r\nbob",
        b"\xef\xbb\xbfalice\nbob\n",
        b"\xef\xbb\xbf\r\nalice\r\nbob\r\n",
    ],
    ids=ascii,
)
def test_blank_lines_line_ends_and_a_byte_order_mark_are_no_users(
    couponctl: Couponctl, users: Path, sql: Sql, content: bytes
) -> None:
    users.write_bytes(content)

    assert couponctl("claim", "SPRING", "--from", str(users)).exit_code == 0
    assert claimants(sql) == ["alice", "bob"]


def test_characters_that_only_some_take_for_a_line_end_do_not_split_a_user(
    couponctl: Couponctl, users: Path, sql: Sql
) -> None:
    for strange in ("\x85", "\u2028", "\x0c", "\x1c", "\r"):
        users.write_text(f"alice{strange}bob\n", newline="")

        answer = couponctl("claim", "SPRING", "--from", str(users))

        assert answer.exit_code == 2
        assert f"line 1: has U+{ord(strange):04X}" in answer.err
    assert claimants(sql) == []


def test_duplicates_and_a_second_run_take_nothing_more(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    users.write_text("alice\nbob\nalice\n")

    first = couponctl("claim", "SPRING", "--from", str(users))
    second = couponctl("claim", "SPRING", "--from", str(users))

    assert first.out == "SPRING: 2 claimed, 1 already claimed\n"
    assert second.out == "SPRING: 3 already claimed\n"
    assert first.exit_code == second.exit_code == 0
    assert claimants(sql) == ["alice", "bob"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"a\x1bb", "has U+001B (a control character) at character 2"),
        (b"a\0b", "has a NUL at character 2, which PostgreSQL cannot hold"),
        (b" carol", "begins or ends with a space"),
        (b"   ", "is blank"),
        (b"c" * 300, "has 300 characters; the maximum is 255"),
    ],
    ids=ascii,
)
def test_an_invalid_line_is_named_and_nothing_was_claimed(
    couponctl: Couponctl, users: Path, sql: Sql, line: bytes, problem: str
) -> None:
    users.write_bytes(b"alice\nbob\n" + line + b"\ndora\n")

    answer = couponctl("claim", "SPRING", "--from", str(users))

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == f"couponctl: {users} line 3: {problem}.\n"
    assert claimants(sql) == []


def test_what_is_not_utf_8_is_refused_with_its_place(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    users.write_bytes(b"alice\nb\xf6b\n")

    answer = couponctl("claim", "SPRING", "--from", str(users))

    assert (answer.exit_code, answer.out) == (2, "")
    assert answer.err == f"couponctl: {users} line 2: is not UTF-8 text.\n"
    assert claimants(sql) == []


def test_a_file_that_cannot_be_read_says_why(couponctl: Couponctl, users: Path, tmp_path: Path) -> None:
    missing, directory = (couponctl("claim", "SPRING", "--from", str(path)) for path in (users, tmp_path))

    assert missing.err == f"couponctl: {users}: cannot be read (No such file or directory).\n"
    assert directory.err == f"couponctl: {tmp_path}: cannot be read (Is a directory).\n"
    assert missing.exit_code == directory.exit_code == 2


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\r\n", b"user_id,email\n"], ids=ascii)
def test_a_list_that_names_nobody_is_a_mistake_unless_it_is_said_to_be_none(
    couponctl: Couponctl, users: Path, content: bytes
) -> None:
    users.write_bytes(content)

    refused = couponctl("claim", "SPRING", "--from", str(users))
    meant = couponctl("claim", "SPRING", "--from", str(users), "--allow-empty")

    assert (refused.exit_code, refused.out) == (2, "")
    assert refused.err == (f"couponctl: {users}: holds no names; --allow-empty accepts that.\n")
    assert (meant.exit_code, meant.out) == (0, "SPRING: no user, nothing claimed\n")


def test_a_table_is_read_by_its_column_and_says_so(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    users.write_text('user_id,email\na,a@b.example\n"b","x, y"\n')

    answer = couponctl("claim", "SPRING", "--from", str(users))

    assert (answer.exit_code, answer.out) == (0, "SPRING: 2 claimed\n")
    assert answer.err == f"couponctl: {users}: read by its column user_id, email ignored\n"
    assert claimants(sql) == ["a", "b"]


def test_a_table_whose_column_is_not_known_gives_no_unit_to_its_heading(
    couponctl: Couponctl, users: Path, sql: Sql
) -> None:
    users.write_text("id,email\na,a@b.example\n")

    refused = couponctl("claim", "SPRING", "--from", str(users))

    assert (refused.exit_code, refused.out) == (2, "")
    assert "line 1: has a comma in it, as a table has; --column NAME reads" in refused.err
    assert claimants(sql) == []
    assert couponctl("claim", "SPRING", "--from", str(users), "--column", "id").exit_code == 0
    assert claimants(sql) == ["a"]
    assert couponctl("claim", "SPRING", "--from", str(users), "--plain").exit_code == 0
    assert claimants(sql) == ["a", "a,a@b.example", "id,email"]


@pytest.mark.parametrize("column", ["user_id", "coupon_user"])
def test_json_lines_are_read_by_their_key(couponctl: Couponctl, users: Path, sql: Sql, column: str) -> None:
    users.write_text(f'{{"{column}": "a", "outcome": "sold_out"}}\n{{"{column}": "b"}}\n')

    assert (
        couponctl("claim", "SPRING", "--from", str(users), "--format", "jsonl", "--column", column).exit_code
        == 0
    )
    assert claimants(sql) == ["a", "b"]


def test_many_bad_lines_are_told_at_once(couponctl: Couponctl, users: Path, sql: Sql) -> None:
    users.write_text("alice\n bob\n\a\ncarol\n")

    answer = couponctl("claim", "SPRING", "--from", str(users))

    assert answer.exit_code == 2
    assert answer.err == (
        f"couponctl: {users}: 2 lines cannot be used: line 2 begins or ends with a space; "
        "line 3 has U+0007 (a control character) at character 1.\n"
    )
    assert claimants(sql) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("alice", "--column", "id"), "--column, --format, --plain and --allow-empty are for the list"),
        (("alice", "--allow-empty"), "--column, --format, --plain and --allow-empty are for the list"),
        (("--from", "x", "--plain", "--column", "id"), "--plain takes lines as they are"),
        (("--from", "x", "--resume"), "--resume and --overwrite are for the file of --results"),
        (("--from", "x", "--overwrite", "--results", "-"), "--resume and --overwrite are for the file"),
        (("a", "--results", "r", "--overwrite", "--resume"), "give --resume or --overwrite, not both"),
        (("--from", "x", "--format", "xml"), "'xml' is not one of 'csv', 'jsonl'"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(
    couponctl: Couponctl, options: tuple[str, ...], sentence: str
) -> None:
    answer = couponctl("claim", "SPRING", *options)

    assert (answer.exit_code, answer.out) == (2, "")
    assert sentence in answer.err


def test_a_list_that_grows_is_used_as_far_as_it_was_checked(
    couponctl: Couponctl, users: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.write_text("alice\nbo")

    def checked(names: NameList) -> int:
        with users.open("a") as writer:
            writer.write("b\nhalf a na")
        return 2

    monkeypatch.setattr(NameList, "__len__", checked)
    answer = couponctl("claim", "SPRING", "--from", str(users))

    assert answer.out == "SPRING: 2 claimed\n"
    assert f"lines were added to {users} during the run; they were not read" in answer.err
    assert claimants(sql) == ["alice", "bob"]


def test_users_and_a_file_together_are_a_mistake(couponctl: Couponctl, users: Path) -> None:
    answer = couponctl("claim", "SPRING", "alice", "--from", str(users))

    assert answer.exit_code == 2
    assert "name the users or give --from, not both" in answer.err


def test_one_user_in_a_file_is_answered_as_many_are(
    couponctl: Couponctl, users: Path, tmp_path: Path
) -> None:
    users.write_text("alice\n")
    results = tmp_path / "results.jsonl"

    answer = couponctl("claim", "SPRING", "--from", str(users), "--json", "--results", str(results))

    assert json.loads(answer.out)["claimed"] == 1
    assert json.loads(results.read_text()) == {"user_id": "alice", "outcome": "claimed", "status": 201}


def test_results_that_cannot_be_written_are_refused_before_the_first_claim(
    couponctl: Couponctl, users: Path, sql: Sql, tmp_path: Path
) -> None:
    users.write_text("alice\n")

    answer = couponctl("claim", "SPRING", "--from", str(users), "--results", str(tmp_path))
    both = couponctl("claim", "SPRING", "--from", str(users), "--results", "-", "--json")

    assert answer.err == f"couponctl: --results: {tmp_path} cannot be written (Is a directory).\n"
    assert "--results: --json writes to standard output already" in both.err
    assert answer.exit_code == both.exit_code == 2
    assert claimants(sql) == []


def test_a_dash_reads_standard_input_and_a_pipe_sees_no_progress_bar(database_url: str) -> None:
    answer = finished(
        "claim", "SPRING", "--from", "-", environment={"COUPONCTL_URL": database_url}, stdin=b"bob\r\nalice\n"
    )

    assert (answer.exit_code, answer.out, answer.err) == (0, b"SPRING: 2 claimed\n", b"")


def test_standard_input_that_is_not_utf_8_is_refused_too(database_url: str, sql: Sql) -> None:
    answer = finished(
        "claim", "SPRING", "--from", "-", environment={"COUPONCTL_URL": database_url}, stdin=b"al\xff\n"
    )

    assert answer.exit_code == 2
    assert answer.err == b"couponctl: standard input line 1: is not UTF-8 text.\n"
    assert claimants(sql) == []


def test_a_terminal_sees_a_progress_bar_and_gets_its_cursor_back(database_url: str) -> None:
    answer = shown("claim", "SPRING", "alice", "bob", environment={"COUPONCTL_URL": database_url})

    assert b"100%" in answer.out
    assert answer.out.rindex(b"\x1b[?25h") > answer.out.rindex(b"\x1b[?25l")


def test_many_users_fit_on_the_command_line(couponctl: Couponctl, sql: Sql) -> None:
    sql("UPDATE coupons SET amount = 500, remaining_amount = 500")

    answer = couponctl("claim", "SPRING", *(f"user-{number}" for number in range(300)))

    assert (answer.exit_code, answer.err) == (0, "SPRING: 300 claimed\n")
    assert len(claimants(sql)) == 300


def test_one_invalid_user_on_the_command_line_stops_all(couponctl: Couponctl, sql: Sql) -> None:
    answer = couponctl("claim", "SPRING", "alice", "b\x07b", "carol")

    assert answer.exit_code == 2
    assert "user id: has U+0007" in answer.err
    assert claimants(sql) == []
