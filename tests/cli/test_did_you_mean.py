"""A name that is mistyped: the answer names the one that may have been meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Json
    from tests.conftest import Couponctl, Sql


@pytest.fixture
def spring(sql: Sql) -> None:
    """SPRING on sale, among a thousand others."""
    sql("INSERT INTO coupons SELECT 'OTHER-' || n, 9, 9 FROM generate_series(1, 1200) AS n")
    sql("INSERT INTO coupons VALUES ('SPRING', 9, 9)")


@pytest.mark.usefixtures("spring")
@pytest.mark.parametrize("name", ["spring", "SPRNG", "Sprin", "SPRING-"])
@pytest.mark.parametrize(
    "command", [["show"], ["show", "--user", "ann"], ["verify"], ["claim"]], ids=" ".join
)
def test_the_coupon_that_is_meant_is_named(couponctl: Couponctl, command: list[str], name: str) -> None:
    users = ["ann"] if command == ["claim"] else []

    answer = couponctl(*command, name, *users)

    said = f'There is no coupon "{name}". Did you mean "SPRING"? `couponctl list` shows what there is.'
    assert answer == (12, "", f"couponctl: {said}\n")


@pytest.mark.usefixtures("spring")
def test_many_users_of_a_mistyped_coupon_are_told_once(couponctl: Couponctl, tmp_path: Path) -> None:
    (users := tmp_path / "users.txt").write_text("ann\nbob\n")

    answer = couponctl("claim", "spring", "--from", str(users))

    assert (answer.exit_code, answer.out) == (12, "")
    assert answer.err.count("couponctl:") == answer.err.count('Did you mean "SPRING"?') == 1


@pytest.mark.usefixtures("spring")
def test_a_name_like_no_other_is_only_not_found(couponctl: Couponctl, answered: Json) -> None:
    answer = couponctl("show", "zzz")

    assert (answer.exit_code, answer.out) == (12, "")
    assert "Did you mean" not in answer.err
    assert (
        answered("show", "spring")["error"]["code"] == answered("show", "zzz")["error"]["code"] == "not_found"
    )


@pytest.mark.parametrize(("typed", "meant"), [("creat", "create"), ("lst", "list"), ("Show", "show")])
def test_the_command_that_is_meant_is_named(couponctl: Couponctl, typed: str, meant: str) -> None:
    answer = couponctl(typed)

    assert (answer.exit_code, answer.out) == (2, "")
    assert f"'{typed}'" in answer.err
    assert f"'{meant}'" in answer.err.partition("Did you mean")[2]
