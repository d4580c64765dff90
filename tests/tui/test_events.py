"""The event log, and its command lines: what is copied from it does the same in a shell."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couponctl.present import command_line
from couponctl.tui.events import EventLog, operands
from tests.support.tui.scenes import NOON

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@given(st.lists(WORDS, min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_bash_reads_words_as_they_were(words: list[str]) -> None:
    line = command_line(words)
    # Bash decides by its locale what \x is; without one it takes bytes for what they are.
    answer = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )

    assert answer.stdout.decode().split("\0")[:-1] == words


@given(WORDS)
def test_what_is_copied_can_be_seen(word: str) -> None:
    assert command_line([word]).isprintable()


@pytest.mark.parametrize(
    "word", ["a b", "$HOME", "`id`", "'", "a;b", "!!", "~", "", "春節", "\x1b]52;c;eA==\x07"]
)
def test_a_hostile_word_is_one_word(word: str) -> None:
    assert "\x1b" not in command_line([word])
    if word.isprintable():
        assert shlex.split(command_line([word])) == [word]


def test_a_command_line_names_the_database_as_the_console_was_told() -> None:
    log = EventLog(lambda: NOON, ("--context", "my shop"))
    log.add("created", command=("create", *operands("-x", "5")))

    (event,) = log.events
    assert event.command == "couponctl --context 'my shop' create -- -x 5"
    assert event.time == "12:00:00"


def test_an_event_without_a_command_has_none() -> None:
    log = EventLog(lambda: NOON, ("--context", "shop"))
    log.add("aborting")

    assert log.events[0].command == ""


def test_the_oldest_events_go() -> None:
    log = EventLog(lambda: NOON)
    for number in range(600):
        log.add(str(number))

    assert [log.events[0].words, log.events[-1].words] == ["100", "599"]
    assert log.version == 600
