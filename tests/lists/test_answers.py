"""Files of answers: none is overwritten unasked, and a run goes on exactly where the last one ended."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import Invalid
from couponctl.lists.answers import AnswerFile, Existing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

USERS = ["alice", "bob", "carol", "dora"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@pytest.fixture
def two_answers(file: Path) -> Path:
    file.write_text(lines_for(USERS[:2]))
    return file


def lines_for(users: Iterable[str]) -> str:
    return "".join(json.dumps({"user_id": user, "outcome": "claimed"}) + "\n" for user in users)


def add(file: Path, users: Iterable[str], existing: Existing = Existing.REFUSE) -> int:
    """Answer those who have none yet; how many had one."""
    with AnswerFile(str(file), existing) as answers:
        for user in answers.unanswered(users):
            answers.write([{"user_id": user, "outcome": "claimed"}])
        assert answers.unwritable is None
        return answers.answered


def test_a_new_or_empty_file_is_written(file: Path) -> None:
    assert add(file, USERS) == 0
    assert file.read_text() == lines_for(USERS)

    file.write_text("")
    assert add(file, USERS[:1]) == 0
    assert file.read_text() == lines_for(USERS[:1])


def test_answers_are_not_overwritten_unasked(two_answers: Path) -> None:
    with pytest.raises(Invalid) as refused:
        AnswerFile(str(two_answers))

    assert str(refused.value) == (
        f"--results: {two_answers} is not empty: "
        "--resume continues after what it holds, --overwrite replaces it."
    )
    assert two_answers.read_text() == lines_for(USERS[:2])


def test_resume_goes_on_behind_them(two_answers: Path) -> None:
    assert add(two_answers, USERS, Existing.RESUME) == 2
    assert two_answers.read_text() == lines_for(USERS)
    assert add(two_answers, USERS, Existing.RESUME) == 4
    assert two_answers.read_text() == lines_for(USERS)


@pytest.mark.parametrize("torn", ["{", '{"user_id": "carol", "outcome": "claimed"}', "x" * 100_000])
def test_half_a_line_is_cut_off(two_answers: Path, torn: str) -> None:
    with two_answers.open("a") as crashed:
        crashed.write(torn)

    assert add(two_answers, USERS, Existing.RESUME) == 2
    assert two_answers.read_text() == lines_for(USERS)


def test_a_file_with_nothing_but_half_a_line_begins_anew(file: Path) -> None:
    file.write_text('{"user_id": "al')

    assert add(file, USERS, Existing.RESUME) == 0
    assert file.read_text() == lines_for(USERS)


def test_resume_of_nothing_begins_at_the_first(file: Path) -> None:
    assert add(file, USERS, Existing.RESUME) == 0
    assert file.read_text() == lines_for(USERS)


def test_overwrite_begins_anew_with_the_first_answer(two_answers: Path) -> None:
    with AnswerFile(str(two_answers), Existing.OVERWRITE) as answers:
        assert two_answers.read_text() == lines_for(USERS[:2]), "nothing has come for it yet"
        answers.write([{"user_id": "emil", "outcome": "claimed"}])

    assert two_answers.read_text() == lines_for(["emil"])


@pytest.mark.parametrize("existing", [Existing.OVERWRITE, Existing.RESUME])
def test_without_an_answer_a_file_stays_as_it_was(two_answers: Path, existing: Existing) -> None:
    content = lines_for(USERS[:2]) + "torn"
    two_answers.write_text(content)

    with AnswerFile(str(two_answers), existing):
        pass

    assert two_answers.read_text() == content


@pytest.mark.parametrize(
    ("users", "why"),
    [
        (USERS[:1], "has 2 answers, and the list 1 user"),
        (["bob", "alice", "carol"], 'is for "bob", number 2 of the list is "alice"'),
    ],
)
def test_answers_of_another_list_are_not_gone_on_with(two_answers: Path, users: list[str], why: str) -> None:
    with AnswerFile(str(two_answers), Existing.RESUME) as answers, pytest.raises(Invalid, match=why):
        answers.unanswered(users)

    assert two_answers.read_text() == lines_for(USERS[:2])


@pytest.mark.parametrize("content", ["alice\nbob\n", "[]\n", '{"name": "x"}\n', "[" * 9999 + "\n", "\n"])
def test_another_file_is_not_gone_on_with(file: Path, content: str) -> None:
    file.write_text(content)

    with pytest.raises(Invalid, match="is not an answer: this is another file"):
        AnswerFile(str(file), Existing.RESUME)
    assert file.read_text() == content


def test_many_answers_are_counted(file: Path) -> None:
    users = [f"user-{number}" for number in range(50_000)]
    file.write_text(lines_for(users[:40_000]))

    assert add(file, users, Existing.RESUME) == 40_000
    assert file.read_text() == lines_for(users)


def test_what_is_no_file_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="--resume: /dev/null is not a file"):
        AnswerFile("/dev/null", Existing.RESUME)
    with pytest.raises(Invalid, match=r"cannot be written \(Is a directory\)"):
        AnswerFile(str(tmp_path))


def test_two_commands_do_not_write_one_file(file: Path) -> None:
    with AnswerFile(str(file)), pytest.raises(Invalid, match="is being written by another command"):
        AnswerFile(str(file), Existing.RESUME)


def test_a_full_disk_is_remembered_and_not_written_to_again() -> None:
    with AnswerFile("/dev/full") as answers:
        assert not answers.resumable
        answers.write([{"user_id": "alice"}])
        first = answers.unwritable
        answers.write([{"user_id": "bob"}])

    assert str(first) == "--results: /dev/full cannot be written (No space left on device)."
    assert answers.unwritable is first


def test_a_pipe_takes_answers_as_they_come(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with AnswerFile(str(pipe)) as answers:
        answers.write([{"user_id": "alice", "outcome": "claimed"}])
        assert os.read(reader, 1000).decode() == lines_for(["alice"])
    os.close(reader)
