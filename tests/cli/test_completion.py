"""What the shell is offered after a Tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.programs import Finished, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Sql

NOTHING = Finished(0, b"\n", b"")
HOSTILE = ["a\x1b]52;c;UFdORUQ=\x07", "a\nplain,b", "a\u202eb", "a\u200bb", "a\x9bb"]
RUN_BY_A_SHELL = ["a$(touch x)", "a`touch x`", "a;touch x", "a|b", "a&b", "a'b", 'a"b', "a\\b", "a>b", "a*b"]


@pytest.fixture
def offered(database_url: str) -> Callable[..., list[str]]:
    def offered(line: str, word: str, shell: str = "bash") -> list[str]:
        answer = completed(line, word, database_url, shell)
        assert (answer.exit_code, answer.err) == (0, b"")
        return [each.partition(",")[2] for each in answer.out.decode().split()]

    return offered


def completed(line: str, word: str, url: str, shell: str = "bash") -> Finished:
    words = f"couponctl {line}{word}"
    environment = {
        "_COUPONCTL_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "COUPONCTL_URL": url,
    }
    return finished(environment=environment)


def test_commands_are_offered(offered: Callable[..., list[str]]) -> None:
    assert offered("", "c") == ["create", "claim"]
    assert offered("drill ", "fl") == ["flash-sale"]
    assert offered("db ", "st") == ["start", "status", "stop"]


@pytest.mark.parametrize("command", ["show", "claim", "verify"])
def test_coupons_are_offered_by_their_first_letters(
    offered: Callable[..., list[str]], sql: Sql, command: str
) -> None:
    sql("INSERT INTO coupons SELECT unnest(ARRAY['SPRING', 'SUMMER', 'BOXED', 'ssmall']), 5, 5")

    assert offered(f"{command} ", "S") == ["SPRING", "SUMMER"]
    assert offered(f"{command} ", "") == ["BOXED", "SPRING", "SUMMER", "ssmall"]


def test_a_prefix_is_found_among_many_that_merely_contain_it(
    offered: Callable[..., list[str]], sql: Sql
) -> None:
    sql("INSERT INTO coupons SELECT 'a-z-' || i, 5, 5 FROM generate_series(1, 80) AS i")
    sql("INSERT INTO coupons VALUES ('z-last', 5, 5)")

    assert offered("show ", "z-") == ["z-last"]


def test_a_percent_sign_is_a_percent_sign(offered: Callable[..., list[str]], sql: Sql) -> None:
    sql("INSERT INTO coupons SELECT unnest(ARRAY['100%', '1000', '10_', '10x']), 5, 5")

    assert offered("show ", "100%") == ["100%"]


def test_nothing_hostile_is_offered(offered: Callable[..., list[str]], sql: Sql) -> None:
    names = [*HOSTILE, *RUN_BY_A_SHELL, "a-plain_name.1", "aé春"]
    sql("INSERT INTO coupons SELECT unnest($1::text[]), 5, 5", names)

    assert offered("show ", "a") == ["a-plain_name.1", "aé春"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://shop:S3cretPw@127.0.0.1:1/sale", "not a URL", "postgresql://nobody@/x?host=/nowhere"],
)
def test_a_dead_database_offers_nothing_and_makes_no_noise(url: str) -> None:
    assert completed("show ", "S", url) == NOTHING


def test_a_database_without_tables_offers_nothing(empty_database_url: str) -> None:
    assert completed("show ", "S", empty_database_url) == NOTHING


def test_a_tab_makes_no_database(tmp_path: Path) -> None:
    environment = {"COUPONCTL_DATA_DIR": str(tmp_path / "none")}
    words = {"_COUPONCTL_COMPLETE": "bash_complete", "COMP_WORDS": "couponctl show ", "COMP_CWORD": "2"}

    assert finished(environment=environment | words) == NOTHING
    assert list(tmp_path.iterdir()) == []


def test_the_script_for_the_shell_can_be_had() -> None:
    answer = finished(environment={"_COUPONCTL_COMPLETE": "bash_source"})

    assert answer.exit_code == 0
    assert b"_couponctl_completion" in answer.out
