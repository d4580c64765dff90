"""However the console ends, the terminal is as it was, and no drill and nothing of it stays on the server."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.programs import COUPONCTL
from tests.support.sessions import TRACES, Watch
from tests.support.tui.windows import Window, modes_left, window
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNALS = [(signal.SIGTERM, 143), (signal.SIGHUP, 143), (signal.SIGINT, 130)]

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'"

QUEUE = """
    SELECT FROM pg_stat_activity
     WHERE application_name LIKE 'couponctl/drill-%' AND wait_event_type = 'Lock'
"""


@pytest.fixture
def console(plant: Callable[..., None], environment: dict[str, str]) -> Iterator[Window]:
    """Shows one coupon, and nothing runs."""
    plant("SPRING", 5)
    with window(environment=environment) as console:
        console.see("no claims yet")
        yield console


@pytest.fixture
def holder(database_url: str) -> Iterator[Watch]:
    """Another session, which may hold locks."""
    holder = Watch(database_url)
    yield holder
    holder.close()


@pytest.fixture
def drilling_console(slow_commits: None, console: Window, watch: Watch, holder: Watch) -> Window:
    """Its drill cannot go on: all its claims queue for a row that the holder has locked."""
    console.run_drill("scale")
    watch.until(QUEUE)
    ((schema,),) = watch.query(SCHEMAS)
    holder.query("BEGIN")
    holder.query(f"SELECT FROM {schema}.coupons FOR UPDATE")
    return console


def drill_processes(console: Window) -> list[int]:
    """The processes that the console has started."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(") ")
        except OSError:
            continue  # it has just ended
        if int(rest.split()[1]) == console.process.pid:
            children.append(int(stat.parent.name))
    return children


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_signal_ends_it_and_gives_the_terminal_back(
    console: Window, watch: Watch, number: signal.Signals, exit_code: int
) -> None:
    console.process.send_signal(number)
    done = console.finish()

    assert done.exit_code == exit_code
    assert modes_left(done.out) == {}
    assert b"Traceback" not in done.out
    watch.until(TRACES, found=False)


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_signal_in_the_middle_of_a_drill_ends_that_too(
    drilling_console: Window,
    watch: Watch,
    holder: Watch,
    number: signal.Signals,
    exit_code: int,
) -> None:
    processes = drill_processes(drilling_console)
    drilling_console.process.send_signal(number)
    holder.close()
    done = drilling_console.finish()

    assert done.exit_code == exit_code
    assert modes_left(done.out) == {}
    watch.until(TRACES, found=False)
    assert len(processes) == 1
    assert not Path(f"/proc/{processes[0]}").exists()


def test_quitting_asks_while_a_drill_runs(drilling_console: Window, watch: Watch, holder: Watch) -> None:
    drilling_console.type("q")
    drilling_console.see("A drill is running.")
    drilling_console.type("n")
    drilling_console.see(gone="A drill is running.")
    drilling_console.type("q")
    drilling_console.see("A drill is running.")
    drilling_console.type("y")
    holder.close()

    assert drilling_console.finish().exit_code == 0
    watch.until(TRACES, found=False)


def test_a_closed_terminal_ends_it(console: Window, watch: Watch) -> None:
    console.hang_up()

    assert console.process.wait(DEADLINE) == 143
    watch.until(TRACES, found=False)


def test_a_closed_terminal_ends_a_drill_too(drilling_console: Window, watch: Watch, holder: Watch) -> None:
    drilling_console.hang_up()
    holder.close()

    assert drilling_console.process.wait(DEADLINE) == 143
    watch.until(TRACES, found=False)


def test_a_closed_terminal_ends_it_even_where_hangups_are_ignored(
    environment: dict[str, str], watch: Watch
) -> None:
    """As under nohup: nobody could ever leave it."""
    program = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh", *COUPONCTL)
    with window(environment=environment, program=program) as console:
        console.see("no coupons yet")
        console.hang_up()

        assert console.process.wait(DEADLINE) != 0
    watch.until(TRACES, found=False)


def test_a_killed_console_leaves_no_drill(drilling_console: Window, watch: Watch, holder: Watch) -> None:
    drilling_console.process.kill()
    holder.close()

    watch.until(TRACES, found=False)


@pytest.fixture
def leftover(drilling_console: Window, watch: Watch, holder: Watch) -> str:
    """The schema of a drill that was killed together with its console."""
    ((schema,),) = watch.query(SCHEMAS)
    processes = drill_processes(drilling_console)
    drilling_console.process.kill()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    holder.close()
    watch.until("SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/%'", found=False)
    return str(schema)


@pytest.mark.parametrize(("answer", "stays"), [("y", False), ("n", True)])
def test_what_a_killed_drill_has_left_is_removed_by_the_next_console_where_that_is_wanted(
    leftover: str, environment: dict[str, str], watch: Watch, answer: str, *, stays: bool
) -> None:
    with window(environment=environment, size=(200, 36)) as console:
        console.see("Leftover drill schemas found", f"drop {leftover}")
        console.type(answer)
        console.see("couponctl_drill_" if stays else "removed leftover", gone="Leftover drill schemas found")
        console.type("q")

        assert console.finish().exit_code == 0
    assert bool(watch.query(SCHEMAS)) is stays
