"""How PostgreSQL answers the paged queries in 100,000 coupons: by an index, reading no more than a page.

Which have no index is said here too: `list` in all orders but by name, `list --filter`, newest claimants.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from couponctl.models import Sort
from couponctl.postgres.database import open_database
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import asyncpg

    from couponctl.postgres.limits import Limits
    from tests.support.clones import Clones

COUPONS = 100_000
LIMIT = 10

FILL = """
    INSERT INTO coupons (name, amount, remaining_amount)
    SELECT 'C' || lpad(n::text, 6, '0'), 1000000, 1000000 - n FROM generate_series(1, 100000) n;
    INSERT INTO claims (coupon_name, user_id)
    SELECT 'C' || lpad((n % 10 + 1)::text, 6, '0'), 'u' || lpad(n::text, 6, '0')
    FROM generate_series(1, 100000) n;
"""

Node = dict[str, Any]
Plans = list[list[Node]]


@pytest.fixture(scope="module")
def large_database_url(clones: Clones) -> Iterator[str]:
    """100,000 coupons, and 10,000 claims of each of the first ten."""
    with clones.database() as url:
        clones.execute(url, FILL)
        clones.execute(url, "VACUUM ANALYZE")
        yield url


@pytest.fixture
def database_url(large_database_url: str) -> str:
    return large_database_url


@pytest.fixture
async def large_service(database_url: str, limits: Limits) -> AsyncIterator[CouponService]:
    server = server_at(database_url, source="the test")
    async with open_database(server, limits, application="couponctl/test") as database:
        yield CouponService(database)


@contextmanager
def statements_sent() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Notes every statement that SQLAlchemy sends, with its parameters."""
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: tuple[Any, ...], *_: object) -> None:
        sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def nodes_of(plan: Node) -> list[Node]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes_of(child))]


@pytest.fixture
def plans_of(
    large_service: CouponService, other_session: asyncpg.Connection
) -> Callable[..., Awaitable[Plans]]:
    """The nodes of each plan by which a question's statements on the tables are answered."""

    async def plans_of(ask: Callable[[CouponService], Awaitable[object]]) -> Plans:
        with statements_sent() as sent:
            await ask(large_service)
        plans = []
        for statement, parameters in sent:
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            (root,) = json.loads(await other_session.fetchval(explain, *parameters))
            nodes = nodes_of(root["Plan"])
            if any(map(of_the_ledger, nodes)):
                plans.append(nodes)
        assert plans
        return plans

    return plans_of


def of_the_ledger(node: Node) -> bool:
    """Whether a step reads a table of the ledger, and not of the catalog for what row security hides."""
    return node.get("Relation Name") in {"coupons", "claims"}


def rows_read(nodes: list[Node]) -> int:
    """The most rows that any step has handled, those that it threw away included."""
    return max(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes
        if of_the_ledger(node) or "Relation Name" not in node
    )


def scans_of(nodes: list[Node]) -> set[str]:
    return {node["Node Type"] for node in nodes if of_the_ledger(node)}


INDEXED: dict[str, Callable[[CouponService], Awaitable[object]]] = {
    "list, first page": lambda service: service.list(limit=LIMIT),
    "list --after": lambda service: service.list(limit=LIMIT, after="C050000"),
    "show, first page": lambda service: service.show("C000003", limit=LIMIT),
    "show --after": lambda service: service.show("C000003", limit=LIMIT, after="u050000"),
    "show --user, who has it": lambda service: service.find_claim("C000002", "u000001"),
    "show --user, who has not": lambda service: service.find_claim("C000002", "nobody"),
}


@pytest.mark.parametrize("question", INDEXED)
async def test_an_index_finds_the_page_and_nothing_else_is_read(
    plans_of: Callable[..., Awaitable[Plans]], question: str
) -> None:
    for nodes in await plans_of(INDEXED[question]):
        assert scans_of(nodes) <= {"Index Scan", "Index Only Scan"}
        assert rows_read(nodes) <= LIMIT + 1


@pytest.mark.parametrize("sort", [sort for sort in Sort if sort is not Sort.NAME])
@pytest.mark.parametrize("after", [None, "C050000"])
async def test_the_other_orders_have_no_index_and_sort_no_more_than_a_page_in_memory(
    plans_of: Callable[..., Awaitable[Plans]], sort: Sort, after: str | None
) -> None:
    *place_of_after, page = await plans_of(lambda service: service.list(sort=sort, limit=LIMIT, after=after))

    assert [scans_of(nodes) for nodes in place_of_after] == ([{"Index Scan"}] if after else [])
    assert scans_of(page) == {"Seq Scan"}
    assert {node["Sort Method"] for node in page if "Sort Method" in node} <= {"top-N heapsort", "quicksort"}
    assert max(node["Sort Space Used"] for node in page if "Sort Space Used" in node) < 100


async def test_a_filter_has_no_index_and_reads_until_the_page_is_full(
    plans_of: Callable[..., Awaitable[Plans]],
) -> None:
    (common,) = await plans_of(lambda service: service.list(matching="c0", limit=LIMIT))
    (rare,) = await plans_of(lambda service: service.list(matching="nothing", limit=LIMIT))

    assert scans_of(common) == {"Index Scan"}
    assert rows_read(common) <= LIMIT + 1
    assert rows_read(rare) == COUPONS


async def test_the_newest_claimants_have_no_index_and_all_claims_of_the_one_coupon_are_read(
    plans_of: Callable[..., Awaitable[Plans]],
) -> None:
    (newest,) = await plans_of(lambda service: service.newest_claimants("C000003", limit=LIMIT))

    assert rows_read(newest) == COUPONS // 10
