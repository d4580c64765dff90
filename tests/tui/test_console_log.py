"""The console logs to a file, never to its screen, and so does its drill in a process of its own."""

from __future__ import annotations

import logging
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.catalog.sale import FLASH_SALE, SCALE
from couponctl.drills.engine import Target
from couponctl.drills.reports.store import RunStore
from couponctl.logs.log_file import log_to_file
from couponctl.postgres.limits import Limits
from couponctl.sandbox.schema import Leftover
from couponctl.service import CouponService
from couponctl.tui.drill_process import DrillProcess, Order
from couponctl.tui.drill_runner import DrillRunner
from tests.support.processes import soon
from tests.support.programs import shown
from tests.support.reports import report
from tests.support.sessions import PASSWORD
from tests.support.tui.windows import modes_left, window
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from couponctl.postgres.libpq import Server
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\S+Z (?P<level>[A-Z]+) (?P<logger>couponctl[\w.]*) (?P<pid>\d+): (?P<said>.*)"
)


def parsed(log: Path) -> list[re.Match[str]]:
    found = [LINE.fullmatch(line) for line in log.read_text().splitlines()]
    assert None not in found
    return [each for each in found if each]


def test_the_console_and_its_drill_log_into_the_file_and_not_onto_the_screen(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with window("--log-file", str(log), environment=environment | {"COUPONCTL_LOG": "debug"}) as console:
        console.see("no coupons yet")
        console.run_drill("flash-sale")
        console.see("PASS")
        console.type("\x05")
        console.see("log: ", "flash-sale: ✔ PASS")  # not before its process has ended
        console.type("\x1b")
        console.see(gone="The same in a shell")
        console.type("q")
        done = console.finish()

    assert done.exit_code == 0
    assert modes_left(done.out) == {}
    lines = parsed(log)
    assert lines[0]["said"].startswith("couponctl tui begins: ")
    assert lines[-1]["said"] == "The command ended with exit code 0."
    (started,) = [each for each in lines if each["logger"] == "couponctl.tui.drill_process"]
    process = started["said"].split()[-1].rstrip(".")
    assert started["said"] == f"Drill flash-sale runs in process {process}."
    by_the_drill = [each["said"] for each in lines if each["pid"] == process]
    assert by_the_drill[0].startswith("Drill flash-sale ")
    assert by_the_drill[-1].endswith(": PASS.")
    for line in lines:
        assert line["logger"].encode() not in done.out
        assert line["said"].encode() not in done.out


def test_without_a_name_it_is_beside_the_saved_runs_and_the_console_says_so(
    environment: dict[str, str], state_directory: Path
) -> None:
    wish = {"COUPONCTL_LOG": "info", "HOME": str(state_directory.parent)}
    with window(environment=environment | wish) as console:
        console.see("no coupons yet")
        console.type("\x05")
        console.see("log: ~/state/couponctl/couponctl.log")
        console.type("\x1b")
        console.see(gone="The same in a shell")
        console.type("q")
        done = console.finish()

    log = state_directory / "couponctl" / "couponctl.log"
    assert done.out.endswith(f"couponctl: the log is in {log}\r\n".encode())
    assert parsed(log)[0]["said"].startswith("couponctl tui begins: ")
    assert (log.stat().st_mode & 0o777, log.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_nobody_who_did_not_ask_gets_a_log(environment: dict[str, str], state_directory: Path) -> None:
    with window(environment=environment) as console:
        console.see("no coupons yet")
        console.type("q")
        console.finish()

    assert not (state_directory / "couponctl" / "couponctl.log").exists()


@pytest.mark.parametrize("name", ["/dev/tty", "/dev/stderr"])
def test_the_terminal_is_no_file_to_log_to(environment: dict[str, str], name: str) -> None:
    done = shown("tui", "--log-file", name, environment=environment)

    assert done.exit_code == 2
    assert b"is a terminal, on which the console draws; name a file" in done.out


def test_a_state_directory_that_cannot_be_made_is_told_with_the_way_out(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    wish = {"COUPONCTL_LOG": "info", "XDG_STATE_HOME": str(tmp_path / "file")}
    done = shown("tui", environment=environment | wish)

    assert done.exit_code == 2
    assert b"couponctl: COUPONCTL_LOG: " in done.out
    assert b"name another: --log-file" in done.out.replace(b"\r\n", b" ")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """This process logs to it, as a console does."""
    path = tmp_path / "log"
    opened = log_to_file(str(path), logging.INFO, named_by="the test")
    yield path
    opened.close()


@pytest.fixture
def launch(server: Server, limits: Limits, slow_commits: None) -> Iterator[Callable[[], DrillProcess]]:
    started: list[DrillProcess] = []

    def launch() -> DrillProcess:
        started.append(DrillProcess(Order(SCALE.spec(limits, {"n": 500}, seed=7), Target(server, limits))))
        return started[-1]

    yield launch
    for each in started:
        each.kill()
        each.wait(DEADLINE)


def said(log: Path, module: str) -> list[str]:
    return [
        f"{each['level']} {each['said']}" for each in parsed(log) if each["logger"] == f"couponctl.{module}"
    ]


def test_a_drill_that_vanishes(log: Path, launch: Callable[[], DrillProcess]) -> None:
    drill = launch()
    os.kill(drill._process.pid, signal.SIGKILL)
    assert soon(lambda: not drill.running)

    assert said(log, "tui.drill_process")[-1] == (
        f"WARNING Drill process {drill._process.pid} ended without a verdict."
    )


def test_a_drill_that_does_not_end_in_time(
    log: Path, launch: Callable[[], DrillProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("couponctl.tui.drill_runner._PATIENCE", 0.01)
    runner = DrillRunner(lambda _: launch())
    runner.run(SCALE.spec(Limits()))
    runner.end()

    assert said(log, "tui.drill_runner") == [
        "WARNING A drill did not end within 0.01 s and is killed: its schema may stay."
    ]


def test_a_drill_whose_console_is_gone(log: Path, launch: Callable[[], DrillProcess]) -> None:
    drill = launch()
    assert soon(lambda: "was made" in log.read_text())
    drill._line.close()
    drill._process.wait(DEADLINE)

    assert "WARNING The console is gone: the drill is aborted and cleans up." in said(
        log, "tui.drill_process"
    )
    assert said(log, "sandbox.schema")[-1].endswith("was dropped.")


async def test_leftovers_are_told_of(shop: Scene, opened: Opened, log: Path) -> None:
    shop.leftovers.found = (Leftover("couponctl_drill_0badcafe", running=False),)
    async with opened(shop) as console:
        await console.until(lambda: "couponctl_drill_0badcafe" in console.picture)

    assert said(log, "tui.app")[0] == "WARNING 1 schemas were left on the server by drills that crashed."


async def test_how_the_console_was_left(shop: Scene, opened: Opened, log: Path) -> None:
    async with opened(shop) as console:
        console.app.panic()
        await console.until(lambda: console.app.return_value is not None)

    assert said(log, "tui.app") == [
        "WARNING The console can no longer use its terminal.",
        "INFO The console is left, with exit code 143.",
    ]


async def test_a_run_that_is_not_saved(
    shop: Scene, opened: Opened, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(PASSWORD)

    monkeypatch.setattr(RunStore, "save", full)
    async with opened(shop) as console:
        await console.app._save(report(run_id="0badcafe"))

    assert said(log, "tui.app") == ["WARNING Run 0badcafe was not saved: OSError."]


class BrokenSale(CouponService):
    """Fails as nobody expects, even before the first claim."""

    def __init__(self, *_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError(PASSWORD)


def test_a_drill_that_breaks_is_logged_by_its_place(log: Path, server: Server, limits: Limits) -> None:
    target = Target(server, limits, service_class=BrokenSale)
    drill = DrillProcess(Order(FLASH_SALE.spec(limits, seed=7), target))
    assert drill.wait(DEADLINE)

    (broke,) = [line for line in said(log, "tui.drill_process") if line.startswith("ERROR")]
    assert re.fullmatch(r"ERROR The drill broke: ZeroDivisionError at drills/engine\.py:\d+\.", broke)
    assert PASSWORD not in log.read_text()
