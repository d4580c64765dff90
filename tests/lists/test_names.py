"""Lists as people and their spreadsheets write them: read as they are meant, or refused with the way out."""

from __future__ import annotations

import codecs
import json
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponctl.errors import Invalid
from couponctl.lists.layout import Asked, Layout
from couponctl.lists.lines import LONGEST
from couponctl.lists.names import NameList

CSV, JSONL, PLAIN = Asked(Layout.CSV), Asked(Layout.JSONL), Asked(Layout.PLAIN)
BY_ITSELF = Asked()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.txt"


def names_in(file: Path, content: str | bytes, asked: Asked = BY_ITSELF) -> list[str]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with NameList(str(file), asked, usual_column="user_id") as names:
        found = list(names)
        assert list(names) == found, "it can be read again"
        assert len(names) == len(found)
        return found


def refusal_of(file: Path, content: str | bytes, asked: Asked = BY_ITSELF) -> str:
    with pytest.raises(Invalid) as refused:
        names_in(file, content, asked)
    return str(refused.value).removeprefix(str(file)).strip()


TABLES = {
    "comma": "user_id,email\na,a@b.example\nb,b@b.example\n",
    "semicolon": "email;user_id\na@b.example;a\nb@b.example;b\n",
    "tab": "user_id\temail\na\ta@b.example\nb\tb@b.example\n",
    "any case and blanks around": "email, User_ID \nx,a\ny,b\n",
    "quotes": '"user_id","note"\n"a","x, ""y"""\n"b",""\n',
    "a cell of two lines": 'user_id,note\na,"one\ntwo"\nb,x\n',
    "Windows": "user_id,email\r\na,x\r\nb,y\r\n",
    "blank lines": "\nuser_id,email\n\na,x\n\nb,y\n\n",
    "byte order mark": "\ufeffuser_id,email\na,x\nb,y",
    "a delimiter in quotes": 'note,user_id\n"1,2",a\n"3;4",b\n',
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_with_a_heading_is_read_by_its_column(file: Path, table: str) -> None:
    assert names_in(file, table) == ["a", "b"]


def test_what_a_table_holds_beside_the_names_is_told(file: Path) -> None:
    file.write_text("email,user_id,note\nx,a,y\n")
    with NameList(str(file), BY_ITSELF, usual_column="user_id") as names:
        assert names.remark == "read by its column user_id, email, note ignored"


@pytest.mark.parametrize(
    ("table", "column"),
    [("id,email\na,x\nb,y\n", "ID"), ("email\na\nb\n", "email"), ("Account No;x\na;1\nb;2\n", "account no")],
    ids=ascii,
)
def test_a_column_of_another_name_is_asked_for(file: Path, table: str, column: str) -> None:
    assert names_in(file, table, Asked(column=column)) == ["a", "b"]
    assert names_in(file, "user_id\na\nb\n", CSV) == ["a", "b"]


WAY_OUT = "--column NAME reads that column of a table, --plain takes every line as it is."


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("id,email\na,x\n", "line 1: has a comma in it, as a table has"),
        ("a\nb\nDoe; John\n", "line 3: has a semicolon in it, as a table has"),
        ("a\tb\n", "line 1: has a tab in it, as a table has"),
        ('alice\n"bob"\n', "line 2: is in quotes, as the cells of a table may be"),
        ("'bob'\n", "line 1: is in quotes, as the cells of a table may be"),
        *(
            (f"{heading}\na\n", f'line 1: is "{heading}", like the heading of a table')
            for heading in ("user_id", "UserId", "USER", "email", "Name", "coupon")
        ),
        ("\n\nuser_id\na\n", 'line 3: is "user_id", like the heading of a table'),
    ],
    ids=ascii,
)
def test_what_looks_like_a_table_is_no_plain_list(file: Path, content: str, why: str) -> None:
    assert refusal_of(file, content) == f"{why}; {WAY_OUT}"


def test_plain_takes_every_line_as_it_is(file: Path) -> None:
    lines = ["user_id", "a,b", "c;d", '"e"', "auth0|f", '{"user_id": "g"}']

    assert names_in(file, "\n".join(lines), PLAIN) == lines
    assert names_in(file, "auth0|f\nuser 1\nname\n") == ["auth0|f", "user 1", "name"]


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("user_id,email\na,x\nb\n", "line 3: has 1 column where the first line has 2."),
        ("user_id,email\na,b,x\n", "line 2: has 3 columns where the first line has 2."),
        ("user_id,email\n,x\n", "line 2: has no user_id."),
        ("user_id,email\n a,x\n", "line 2: begins or ends with a space."),
        ('user_id,email\n"a"b,x\n', "line 2: is not CSV: "),
        ('user_id,email\na,x\nb,"never closed\n', "line 3: is not CSV: "),
        ("user_id,User_ID\na,b\n", 'line 1: names the column "user_id" 2 times.'),
    ],
    ids=ascii,
)
def test_a_row_that_cannot_be_told_is_refused(file: Path, table: str, why: str) -> None:
    assert refusal_of(file, table).startswith(why)


@pytest.mark.parametrize("asked", [CSV, Asked(column="user_id")], ids=["--format csv", "--column"])
def test_a_table_without_the_column_is_refused(file: Path, asked: Asked) -> None:
    assert refusal_of(file, "id,email\na,x\n", asked) == 'line 1: has no column "user_id".'


def test_json_lines_by_the_files_name_or_when_asked_for(file: Path, tmp_path: Path) -> None:
    lines = '{"user_id": "a", "outcome": "claimed"}\n\n{"user_id": "b,\\u00e9"}\n{"user_id": 7}\n'

    assert names_in(tmp_path / "users.JSONL", lines) == ["a", "b,é", "7"]
    assert names_in(file, lines, JSONL) == ["a", "b,é", "7"]
    assert names_in(file, '{"id": "a"}', Asked(Layout.JSONL, "id")) == ["a"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("alice", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 5000, "is not JSON"),
        ('"alice"', "has no user_id"),
        ('{"User_Id": "a"}', "has no user_id"),
        ('{"user_id": true}', "has a user_id that is not text"),
        ('{"user_id": 1.5}', "has a user_id that is not text"),
        ('{"user_id": "a\\u0000"}', "has a NUL at character 2, which PostgreSQL cannot hold"),
        ('{"user_id": "\\ud800"}', "is not UTF-8 text"),
        ('{"user_id": ""}', "is blank"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_json_that_names_nobody_is_refused(file: Path, line: str, why: str) -> None:
    assert refusal_of(file, f'{{"user_id": "a"}}\n{line}\n', JSONL) == f"line 2: {why}."


MARK = codecs.BOM_UTF8
PLAIN_LISTS = [
    b"alice\nbob\n",
    b"alice\nbob",
    b"\n\nalice\n\n\nbob\n\n",
    b"alice\r\nbob\r\n",
    MARK + b"alice\nbob\n",
    MARK + b"\r\nalice\r\nbob\r\n",
    MARK + b"alice\n" + MARK + b"bob\n",
    MARK + MARK + b"alice\nbob",
    "\ufeffalice\nbob\n".encode("utf-16-le"),
    "\ufeffalice\r\nbob\r\n".encode("utf-16-be"),
    "\ufeffalice\n\ufeffbob".encode("utf-16-le"),
]


@pytest.mark.parametrize("content", PLAIN_LISTS, ids=ascii)
def test_blank_lines_line_ends_and_byte_order_marks_are_no_part_of_a_name(file: Path, content: bytes) -> None:
    assert names_in(file, content) == ["alice", "bob"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"alice\nb\xf6b\n", "line 2: is not UTF-8 text."),
        ("\ufeffalice\n".encode("utf-16-le") + b"\x00\xd8\n\x00", "line 2: is not UTF-16 text."),
        ("\ufeffalice\n".encode("utf-16-le") + b"b", "is not UTF-16 text."),
        ("a".encode("utf-16-le"), "line 1: has a NUL at character 2, which PostgreSQL cannot hold."),
    ],
    ids=ascii,
)
def test_bytes_that_are_no_text_are_refused(file: Path, content: bytes, why: str) -> None:
    assert refusal_of(file, content).endswith(why)


def test_ten_bad_lines_are_named_and_the_others_counted(file: Path) -> None:
    lines = [" bad" if number % 2 else f"user-{number}" for number in range(1, 4001)]

    refusal = refusal_of(file, "\n".join(lines))

    assert refusal.startswith(": 2,000 lines cannot be used: line 1 begins or ends with a space; line 3 ")
    assert refusal.count("; line ") == 9
    assert refusal.endswith("; line 19 begins or ends with a space; and 1,990 more.")


def test_a_line_without_an_end_is_refused_before_it_is_read(file: Path) -> None:
    assert (
        refusal_of(file, "alice\n" + "x" * (LONGEST + 1)) == f"line 2: has more than {LONGEST:,} characters."
    )


def test_an_endless_device_is_refused() -> None:
    with pytest.raises(Invalid, match="/dev/zero line 1: has more than"):
        NameList("/dev/zero", BY_ITSELF, usual_column="user_id")


def test_lines_that_are_added_meanwhile_are_not_read_but_told_of(file: Path) -> None:
    file.write_text("alice\nbo")
    with NameList(str(file), BY_ITSELF, usual_column="user_id") as names:
        with file.open("a") as writer:
            writer.write("b\ncarol\n\0 never checked\n")

        assert list(names) == ["alice", "bob"]
        assert names.grew


def test_a_list_that_stays_as_it_is_has_not_grown(file: Path) -> None:
    file.write_text("alice\nbob")
    with NameList(str(file), BY_ITSELF, usual_column="user_id") as names:
        assert list(names) == ["alice", "bob"]
        assert not names.grew


def test_a_line_that_was_written_anew_after_the_check_is_refused_when_it_comes(file: Path) -> None:
    file.write_text("alice\nbob\ncarol\n")
    with NameList(str(file), BY_ITSELF, usual_column="user_id") as names:
        file.write_text("alice\nb\0b\ncarol\n")
        rest = iter(names)

        assert next(rest) == "alice"
        with pytest.raises(Invalid, match="line 2: has a NUL"):
            next(rest)


def test_what_can_be_read_only_once_is_checked_whole_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("alice\nbob\n",))
    writer.start()
    with NameList(str(pipe), BY_ITSELF, usual_column="user_id") as names:
        assert len(names) == 2
        assert list(names) == list(names) == ["alice", "bob"]
    writer.join()


def test_a_pipe_that_cannot_be_kept_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def write(self, _data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr("couponctl.lists.lines.tempfile.TemporaryFile", FullDisk)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("alice\n",))
    writer.start()
    with pytest.raises(Invalid, match=r"pipe: cannot be copied to /.* \(No space left on device\)"):
        NameList(str(pipe), BY_ITSELF, usual_column="user_id")
    writer.join()


USERS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\ufeff"), min_size=1
).filter(lambda user: user == user.strip() and len(user) <= 255)


@given(st.lists(USERS, min_size=1))
def test_whatever_may_be_a_user_comes_through(users: list[str]) -> None:
    documents = "".join(json.dumps({"user_id": user}) + "\n" for user in users)
    with tempfile.NamedTemporaryFile() as file:
        assert names_in(Path(file.name), documents, JSONL) == users
        assert names_in(Path(file.name), "\n".join(users), PLAIN) == users
        assert names_in(Path(file.name), "\ufeff" + "\n".join(users), PLAIN) == users
