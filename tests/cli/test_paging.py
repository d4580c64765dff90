"""Pages of `list` and `show`: together they are everything, once, in the order asked for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.models import Sort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Json
    from tests.conftest import Couponctl, Sql
    from tests.support.clones import Clones

COUPONS = 23
SHELF = r"""
    INSERT INTO coupons
    SELECT 'c' || (i * 7 % 23), 50 + i % 3, 10 + i % 4, '2026-01-01'::timestamptz + i % 5 * interval '1 s'
      FROM generate_series(0, 22) AS i
     UNION ALL
    SELECT unnest(ARRAY['100%', '100 percent', 'a_b', 'axb', 'a\b', 'a''b', 'a"b', 'ÄB']), 5, 5, '2025-01-01'
        ON CONFLICT DO NOTHING;
    INSERT INTO claims SELECT 'c0', 'user-' || i FROM generate_series(1, 17) AS i ON CONFLICT DO NOTHING
"""


@pytest.fixture(scope="module")
def database_url(clones: Clones) -> Iterator[str]:
    """One for all: these tests only look."""
    with clones.database() as url:
        yield url


@pytest.fixture(autouse=True)
def shelf(sql: Sql) -> None:
    """Coupons with many equals in every order, one of them claimed by many."""
    sql(SHELF)


def pages(answered: Json, *command: str, limit: int) -> Iterator[Any]:
    after: list[str] = []
    while True:
        page = answered(*command, "--limit", str(limit), *after)
        yield page
        if page["next"] is None:
            return
        after = ["--after", page["next"]]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("limit", [4, 31])
def test_all_pages_together_are_the_whole_list(answered: Json, sort: Sort, limit: int) -> None:
    whole = answered("list", "--sort", sort.value)
    assert whole["next"] is None

    parts = list(pages(answered, "list", "--sort", sort.value, limit=limit))

    assert [coupon for part in parts for coupon in part["coupons"]] == whole["coupons"]
    assert len(whole["coupons"]) == COUPONS + 8
    assert all(len(part["coupons"]) == limit for part in parts[:-1])


ORDERS: dict[Sort, Callable[[Any], Any]] = {
    Sort.REMAINING: lambda coupon: coupon["remaining_amount"],
    Sort.AMOUNT: lambda coupon: -coupon["amount"],
    Sort.CLAIMED: lambda coupon: coupon["remaining_amount"] - coupon["amount"],
}


@pytest.mark.parametrize("sort", ORDERS)
def test_each_sort_is_the_order_that_it_names(answered: Json, sort: Sort) -> None:
    keys = [ORDERS[sort](coupon) for coupon in answered("list", "--sort", sort.value)["coupons"]]

    assert keys == sorted(keys)


def test_the_newest_come_first(answered: Json) -> None:
    moments = [coupon["created_at"] for coupon in answered("list", "--sort", "created")["coupons"]]

    assert moments == sorted(moments, reverse=True)


def test_all_pages_of_claimants_together_are_everybody(answered: Json) -> None:
    whole = answered("show", "c0")["claimed_by"]

    for limit in (1, 5, 17):
        parts = list(pages(answered, "show", "c0", limit=limit))
        assert [user for part in parts for user in part["claimed_by"]] == whole
    assert len(whole) == 17


@pytest.mark.parametrize(
    "command",
    [
        ["list", "--limit", "5"],
        ["list", "--sort=remaining", "--limit=3"],
        ["show", "--limit", "4", "--", "c0"],
        ["show", "c0", "--limit", "4", "--after=user-1"],
    ],
    ids=" ".join,
)
def test_each_page_names_the_command_for_the_next(couponctl: Couponctl, command: list[str]) -> None:
    whole = couponctl(*command, "--limit", "100") if "--" not in command else couponctl("show", "c0")
    rows = [line.split("  ")[0] or line for line in whole.out.splitlines()[1:]]

    seen: list[str] = []
    while command:
        page = couponctl(*command)
        seen += [line.split("  ")[0] or line for line in page.out.splitlines()[1:]]
        _, _, following = page.err.partition("more: couponctl ")
        command = shlex.split(following)

    assert seen == rows
    assert len(rows) > 15


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("%", {"100%"}),
        ("100", {"100%", "100 percent"}),
        ("_", {"a_b"}),
        ("\\", {"a\\b"}),
        ("'", {"a'b"}),
        ('"', {'a"b'}),
        ("A_B", {"a_b"}),
        ("äb", {"ÄB"}),
        ("/", set()),
    ],
)
def test_a_filter_means_what_it_says(answered: Json, text: str, names: set[str]) -> None:
    assert {coupon["name"] for coupon in answered("list", "--filter", text)["coupons"]} == names


def test_a_filter_that_finds_nothing_says_so(couponctl: Couponctl) -> None:
    assert couponctl("list", "--filter", "zzz") == (0, "", 'no coupon with "zzz" in its name\n')


def test_behind_the_last_there_is_nothing_more(couponctl: Couponctl) -> None:
    assert couponctl("list", "--after", "🎁") == (0, "", 'no coupon behind "🎁"\n')


def test_a_page_behind_what_is_not_there_goes_on_by_name(answered: Json) -> None:
    behind = [coupon["name"] for coupon in answered("list", "--after", "bbb")["coupons"]]

    assert behind[0] == "c0"


@pytest.mark.parametrize("sort", [sort for sort in Sort if sort is not Sort.NAME])
def test_in_other_orders_a_page_needs_a_coupon_to_be_behind(couponctl: Couponctl, sort: Sort) -> None:
    answer = couponctl("list", "--sort", sort.value, "--after", "bbb")

    assert answer.exit_code == 12
    assert 'no coupon "bbb"' in answer.err


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "many"])
def test_a_limit_has_limits(couponctl: Couponctl, limit: str) -> None:
    for command in (("list",), ("show", "c0")):
        answer = couponctl(*command, "--limit", limit)
        assert answer.exit_code == 2
        assert answer.err.count("\n") == 1
