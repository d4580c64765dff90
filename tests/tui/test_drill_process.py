"""A drill in its own process, on real PostgreSQL: what the console hears of it, and that it never stays."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.drills.catalog import DRILLS
from couponctl.drills.catalog.exhaustion import POOL_EXHAUSTION
from couponctl.drills.catalog.mixed import LEAK_CHECK
from couponctl.drills.catalog.sale import FLASH_SALE, SCALE
from couponctl.drills.drill import Verdict
from couponctl.drills.engine import Target, run_drill
from couponctl.postgres.libpq import server_at
from couponctl.service import CouponService
from couponctl.tui.drill_process import DrillProcess, Order, main
from tests.support.leftovers import assert_nothing_left
from tests.support.sessions import PASSWORD
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import asyncpg

    from couponctl.drills.drill import Drill
    from couponctl.drills.progress import View
    from couponctl.postgres.database import Database
    from couponctl.postgres.libpq import Server
    from couponctl.postgres.limits import Limits
    from tests.conftest import Role

    Launch = Callable[..., DrillProcess]


@pytest.fixture
def target(server: Server, limits: Limits) -> Target:
    return Target(server, limits)


@pytest.fixture
def launch(target: Target) -> Iterator[Launch]:
    """Starts a drill; one that still runs at the end of the test is killed."""
    started: list[DrillProcess] = []

    def launch(drill: Drill[Any], *, on: Target = target, **parameters: float) -> DrillProcess:
        started.append(DrillProcess(Order(drill.spec(on.limits, parameters, seed=7), on)))
        return started[-1]

    yield launch
    for each in started:
        each.kill()
        each.wait(DEADLINE)


async def ended(drill: DrillProcess) -> None:
    await until(lambda: asyncio.to_thread(lambda: drill.running), expected=False)


@pytest.fixture
async def held_up(
    slow_commits: None, launch: Launch, observer: asyncpg.Connection, other_session: asyncpg.Connection
) -> DrillProcess:
    """A drill whose claims queue for a row that another session has locked; it lets go on ROLLBACK."""
    drill = launch(SCALE, n=1000)
    schema = ""
    async with asyncio.timeout(DEADLINE):
        while not await observer.fetchval(_QUEUE):
            await asyncio.sleep(0)
        schema = await observer.fetchval(_SCHEMAS)
    await other_session.execute(f"BEGIN; SELECT FROM {schema}.coupons FOR UPDATE")
    drill.view()
    return drill


_QUEUE = """
    SELECT count(*) FROM pg_stat_activity
     WHERE application_name LIKE 'couponctl/drill-%' AND wait_event_type = 'Lock'
"""

_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'"


async def test_its_report_is_that_of_the_engine(
    launch: Launch, target: Target, observer: asyncpg.Connection
) -> None:
    drill = launch(FLASH_SALE)
    direct = await run_drill(FLASH_SALE.spec(target.limits, seed=7), target)
    await ended(drill)

    assert drill.report is not None
    assert drill.report.verdict is direct.verdict is Verdict.PASS
    assert shape(drill.report.as_json()) == shape(direct.as_json())
    assert [check.promise for check in drill.report.checks] == [check.promise for check in direct.checks]
    assert (drill.report.seed, drill.report.outcomes) == (7, direct.outcomes)
    await assert_nothing_left(observer)


def shape(document: object) -> object:
    """The names and types of everything in a document."""
    if isinstance(document, dict):
        return {name: shape(value) for name, value in document.items()}
    if isinstance(document, list):
        return [shape(each) for each in document]
    return type(document)


async def test_it_can_be_watched_while_it_runs(launch: Launch) -> None:
    drill = launch(SCALE, n=2000)
    views: list[View] = []
    while drill.running:
        views.append(drill.view())
        await asyncio.sleep(0.01)
    views.append(drill.view())

    done = [view.done for view in views]
    assert done == sorted(done)
    assert {view.stage for view in views} >= {"starting", "claiming"}
    assert len({each for each in done if 0 < each < 2000}) >= 3, "no view came while the claims were made"
    assert (done[-1], views[-1].total) == (2000, 2000)
    assert views[-1].outcomes == {"claimed": 200, "sold_out": 1800}


async def test_an_aborted_drill_cleans_up_and_says_so(
    held_up: DrillProcess, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    held_up.abort()
    await other_session.execute("ROLLBACK")
    await ended(held_up)

    assert re.fullmatch(r"aborted, [0-9]+ of [0-9,]+ answered", held_up.failure)
    assert (held_up.report, held_up.left_behind) == (None, None)
    assert held_up.view().outcomes.get("unknown", 0) == 0, "who was called back had no error"
    assert held_up.aborted
    await assert_nothing_left(observer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_is_an_abort(
    held_up: DrillProcess,
    other_session: asyncpg.Connection,
    observer: asyncpg.Connection,
    number: signal.Signals,
) -> None:
    os.kill(held_up._process.pid, number)
    await other_session.execute("ROLLBACK")
    await ended(held_up)

    assert held_up.failure.startswith("aborted, ")
    await assert_nothing_left(observer)


async def test_a_killed_drill_is_told_of_and_so_is_what_it_left(
    held_up: DrillProcess, observer: asyncpg.Connection
) -> None:
    schema = await observer.fetchval(_SCHEMAS)
    await until(lambda: asyncio.to_thread(lambda: held_up.view() and held_up.left_behind), expected=schema)
    held_up.kill()
    await ended(held_up)

    assert held_up.failure == "its process ended without a verdict"
    assert held_up.left_behind == schema


async def test_a_drill_whose_console_is_gone_cleans_up(
    held_up: DrillProcess, other_session: asyncpg.Connection, observer: asyncpg.Connection
) -> None:
    held_up._line.close()
    await other_session.execute("ROLLBACK")

    await assert_nothing_left(observer)
    assert held_up._process.wait(DEADLINE) == 0


def test_a_drill_whose_console_is_gone_before_it_has_said_which_one_just_ends() -> None:
    mine, theirs = socket.socketpair()
    with theirs:
        mine.close()
        ended = subprocess.run(
            [sys.executable, "-c", f"from {main.__module__} import main; main({theirs.fileno()})"],
            pass_fds=(theirs.fileno(),),
            capture_output=True,
            check=False,
            timeout=DEADLINE * 3,
        )

    assert (ended.returncode, ended.stderr) == (0, b"")


async def test_an_ended_drill_leaves_no_process(launch: Launch) -> None:
    """Not even one that waits for its parent to take note of its end."""
    drill = launch(FLASH_SALE)

    async def is_there() -> bool:
        return drill.running or await asyncio.to_thread(Path(f"/proc/{drill._process.pid}").exists)

    await until(is_there, expected=False)
    assert drill.report is not None


async def test_a_server_that_fails_is_told_of_in_its_own_sentence(launch: Launch, target: Target) -> None:
    nowhere = replace(target, server=server_at("postgresql://shop@127.0.0.1:1/sale", source="the test"))
    drill = launch(FLASH_SALE, on=nowhere)
    await ended(drill)

    assert drill.failure.startswith("The database cannot be reached: connection refused")
    assert (drill.report, drill.left_behind) == (None, None)


class BrokenSale(CouponService):
    """Fails as nobody expects, even before the first claim."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError(PASSWORD)


async def test_what_nobody_expects_is_named_and_not_quoted(
    launch: Launch, target: Target, observer: asyncpg.Connection
) -> None:
    drill = launch(FLASH_SALE, on=replace(target, service_class=BrokenSale))
    await ended(drill)

    assert drill.failure == "unexpected: ZeroDivisionError"
    await assert_nothing_left(observer)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_drill_can_be_sent(drill: Drill[Any], target: Target) -> None:
    order = Order(drill.spec(target.limits, seed=7), target)

    assert pickle.loads(pickle.dumps(order)) == order  # noqa: S301 - it was ours a moment ago


async def test_the_leaks_of_others_are_not_counted_as_its_own(launch: Launch, database: Database) -> None:
    """In one process with the console, the connections that the console opens meanwhile would be."""
    drill = launch(LEAK_CHECK)
    async with asyncio.timeout(DEADLINE):
        while drill.view().stage == "starting":
            await asyncio.sleep(0.01)
    await database.warm()
    await ended(drill)

    assert drill.report is not None
    assert drill.report.verdict is Verdict.PASS


def test_the_password_is_in_no_command_line(launch: Launch, role: Role, limits: Limits) -> None:
    drill = launch(POOL_EXHAUSTION, on=Target(server_at(role(), source="the test"), limits))
    ends = time.monotonic() + DEADLINE
    while b"drill_process" not in (own := _command_line(Path(f"/proc/{drill._process.pid}"))):
        assert time.monotonic() < ends, f"it never became a drill: {own!r}"
    everybody = [_command_line(process) for process in Path("/proc").glob("[0-9]*")]
    assert drill.wait(DEADLINE)

    assert own in everybody
    assert not any(PASSWORD.encode() in each for each in everybody)
    assert "CREATE" in drill.failure, "it never logged in"
    assert PASSWORD not in drill.failure


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""  # it has just ended
