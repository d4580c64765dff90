"""`couponctl stats`: who waits for a lock, and a watch that outlasts the server."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from couponctl.errors import SchemaMissing, Unreachable
from couponctl.service import CouponService
from tests.cli.test_hostile_text import assert_harmless
from tests.support.programs import running, terminal
from tests.support.sessions import held
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from couponctl.models import Activity
    from tests.cli.conftest import Json
    from tests.conftest import Couponctl, Role, Sql


def test_stats_names_who_holds_the_row_and_who_waits(
    couponctl: Couponctl, answered: Json, plant: Callable[..., None], database_url: str
) -> None:
    plant("HELD")
    lock = "SELECT FROM coupons FOR UPDATE -- \x1b[31m\u202e"
    claim = running("claim", "HELD", "alice", environment={"COUPONCTL_URL": database_url})
    with held(database_url, lock), claim as process:
        ends = time.monotonic() + DEADLINE
        while len(blocking := answered("stats")["blocking"]) < 2:
            assert time.monotonic() < ends, "nobody waits"
        out = couponctl("stats").out
        process.terminate()

    holder, waiter = out.splitlines()[2:]
    assert re.fullmatch(
        r"\d+ \(\w+\) idle in transaction \d+\.\d s, "
        r"last: BEGIN; SELECT FROM coupons FOR UPDATE -- \\u\{1b\}\[31m\\u\{202e\}",
        holder,
    )
    pid = holder.split()[0]
    assert re.match(rf"  \d+ couponctl/claim \(\w+\) waits \d+\.\d s for {pid}: WITH ", waiter)
    assert_harmless(out.encode())
    assert [(row["pid"], row["depth"]) for row in blocking] == [(int(pid), 0), (int(waiter.split()[0]), 1)]
    assert blocking[1]["backend"]["blocked_by"] == [int(pid)]
    assert blocking[0]["backend"]["query"].endswith(lock)


def test_nobody_who_waits_is_an_empty_list(answered: Json) -> None:
    assert answered("stats")["blocking"] == []


def test_what_the_role_may_not_see_is_said(
    couponctl: Couponctl, answered: Json, role: Role, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered("stats")["hidden"] == 0
    monkeypatch.setenv("COUPONCTL_URL", role())
    with held(database_url, "SELECT 1"):
        assert answered("stats")["hidden"] == 1
        assert couponctl("stats").out.splitlines()[2:] == [
            "hidden  what 1 backend of other roles do: pg_read_all_stats would show it"
        ]


def test_a_watch_says_each_failure_once_and_shows_what_follows(
    couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, closed = Unreachable("gone"), Unreachable("closed")
    script = iter([None, gone, gone, closed, None, closed, SchemaMissing()])
    ask = CouponService.activity

    async def activity(service: CouponService) -> Activity:
        if failure := next(script):
            raise failure
        return await ask(service)

    monkeypatch.setattr(CouponService, "activity", activity)
    answer = couponctl("stats", "--watch", "--interval", "0.1")

    assert answer.out.count("\nserver ") == 2
    *stale, last = answer.err.splitlines()
    assert [line.split("reached: ")[1] for line in stale] == ["gone.", "closed.", "closed."]
    assert all(line.startswith("couponctl: stale: The database cannot") for line in stale)
    assert (answer.exit_code, last) == (2, f"couponctl: {SchemaMissing()}")


def test_a_watch_that_never_saw_the_server_ends_as_every_command(
    couponctl: Couponctl, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", role("CONNECTION LIMIT 0"))

    assert couponctl("stats", "--watch").exit_code == 3


def test_a_watch_outlasts_its_server_and_ctrl_c_ends_it_while_it_waits(role: Role, sql: Sql) -> None:
    url = role()
    user = urlsplit(url).username

    def shut() -> None:
        sql(
            f"ALTER ROLE {user} CONNECTION LIMIT 0;\n"
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
        )

    with terminal("stats", "--watch", "--interval", "0.1", environment={"COUPONCTL_URL": url}) as window:
        window.read_until(lambda seen: b"server " in seen)
        shut()
        shown = window.read_until(lambda seen: b"no connection slot left" in seen)
        sql(f"ALTER ROLE {user} CONNECTION LIMIT -1")
        window.read_until(lambda seen: b"server " in seen[len(shown) :])
        shown = window.seen
        shut()
        window.read_until(lambda seen: b"no connection slot left" in seen[len(shown) :])
        window.type("\x03")
        answer = window.finish()

    assert answer.exit_code == 130
    assert answer.out.endswith(b"couponctl: interrupted\r\n")
