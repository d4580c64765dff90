"""The four modes as pictures, in every state that an operator meets; look at them when they change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import BadSettings, Unreachable
from couponctl.models import Backend, Claim
from tests.support.tui.saved import BROKEN, HELD, sale_report
from tests.support.tui.scenes import NOON, activity, view

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

Doing = Callable[["Console"], Awaitable[None]]

BLOCKER = Backend(
    4711, "psql", "ops", "idle in transaction", "Client:ClientRead", 42.0, "UPDATE coupons SET amount = 1"
)
WAITER = Backend(
    4712,
    "couponctl/drill-0badcafe",
    "sales",
    "active",
    "Lock:transactionid",
    3.5,
    "UPDATE coupons SET remaining_amount = remaining_amount - 1 WHERE name = $1",
    (4711,),
)
IDLE = Backend(4713, "shop-web", "web", "idle", "Client:ClientRead", 700.0, "COMMIT")
HIDDEN = Backend(4714, "", "postgres", "", "", None, None)

DONE = view(done=500, outcomes={"claimed": 50, "sold_out": 450}, elapsed=0.9, stage="done", checks=HELD)


async def untouched(console: Console) -> None:
    """Nothing is pressed."""


async def busy_with_claims(console: Console) -> None:
    sale = console.scene.client
    sale.claims["SUMMER"] = {f"user-{n}": Claim(f"user-{n}", NOON) for n in range(520)}
    await console.press("down", "v")
    await console.read_again()


async def cut_off(console: Console) -> None:
    console.scene.client.failure = Unreachable("connection refused")
    console.scene.server.failure = Unreachable("connection refused")
    await console.read_again()
    console.scene.clock.seconds += 12
    await console.settle()


async def running(console: Console) -> None:
    await console.press("2", "r")
    console.scene.launched[-1].shown = view(checks=HELD[:1])
    await console.settle()


async def aborting(console: Console) -> None:
    await running(console)
    console.scene.launched[-1].aborted = True
    await console.settle()


async def passed(console: Console) -> None:
    await running(console)
    console.scene.launched[-1].shown = DONE
    console.scene.launched[-1].end(sale_report())
    await console.settle()


async def failed(console: Console) -> None:
    await running(console)
    console.scene.launched[-1].shown = DONE
    console.scene.launched[-1].end(sale_report(checks=BROKEN))
    await console.settle()


async def inconclusive(console: Console) -> None:
    await running(console)
    drill = console.scene.launched[-1]
    drill.left_behind = "couponctl_drill_0badcafe"
    drill.end(sale_report(checks=(), unfinished="the connection was lost before the final read"))
    await console.settle()


async def aborted(console: Console) -> None:
    await running(console)
    await console.press("x")


async def pool_in_trouble(console: Console) -> None:
    await running(console)
    await console.press("3")
    console.scene.server.activity = activity(BLOCKER, WAITER, IDLE, HIDDEN, at=1.0, commits=100)
    await console.read_again()
    console.scene.server.activity = activity(BLOCKER, WAITER, IDLE, HIDDEN, at=2.0, commits=1304)
    await console.read_again()


async def pool_cut_off(console: Console) -> None:
    await pool_in_trouble(console)
    await cut_off(console)


async def runs(console: Console) -> None:
    await console.press("4")
    await console.until(lambda: "by the" in console.picture or "runs yet" in console.picture)


async def one_run_marked(console: Console) -> None:
    await runs(console)
    await console.press("m", "down")


async def runs_out_of_reach(console: Console) -> None:
    def refuse() -> None:
        raise BadSettings("/var/lib/couponctl cannot hold saved runs: Permission denied", "")

    console.scene.dependencies.runs.run_ids = refuse  # type: ignore[method-assign, assignment]
    await console.press("4")
    await console.until(lambda: "cannot hold" in console.picture)


STATES: dict[str, Doing] = {
    "coupons": busy_with_claims,
    "coupons-stale": cut_off,
    "drills": lambda console: console.press("2"),
    "drill-running": running,
    "drill-aborting": aborting,
    "drill-passed": passed,
    "drill-failed": failed,
    "drill-inconclusive": inconclusive,
    "drill-aborted": aborted,
    "pool": pool_in_trouble,
    "pool-stale": pool_cut_off,
    "runs": one_run_marked,
    "runs-out-of-reach": runs_out_of_reach,
}

EMPTY: dict[str, Doing] = {
    "coupons-empty": untouched,
    "pool-quiet": lambda console: console.press("3"),
    "runs-empty": runs,
}


@pytest.mark.parametrize("state", STATES)
async def test_the_mode_looks_as_it_did(
    shop_with_runs: Scene, opened: Opened, golden: SnapshotAssertion, state: str
) -> None:
    async with opened(shop_with_runs) as console:
        await STATES[state](console)

        await console.assert_looks_as(golden)


@pytest.mark.parametrize("state", EMPTY)
async def test_the_mode_without_anything_in_it_looks_as_it_did(
    empty_shop: Scene, opened: Opened, golden: SnapshotAssertion, state: str
) -> None:
    async with opened(empty_shop) as console:
        await EMPTY[state](console)

        await console.assert_looks_as(golden)


async def test_a_database_that_is_down_from_the_start_looks_as_it_did(
    shop: Scene, opened: Opened, golden: SnapshotAssertion
) -> None:
    shop.client.failure = Unreachable("connection refused")
    async with opened(shop) as console:
        await console.assert_looks_as(golden)


async def test_production_looks_as_it_did(
    production_shop: Scene, opened: Opened, golden: SnapshotAssertion
) -> None:
    async with opened(production_shop) as console:
        await console.assert_looks_as(golden)
