"""A terminal that reads nothing for a while, as a stalled SSH session: the console goes on without it."""

from __future__ import annotations

import errno
import signal
import time
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from couponctl.tui.terminal import TerminalDriver, _Vanishing
from tests.support.sessions import TRACES, Watch
from tests.support.tui.windows import Window, modes_left, window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALL = 5.0
"""Seconds without a byte read: more pictures than Textual's writer takes before the event loop waits."""

ARROWS = "\x1b[B\x1b[A"

HEARTBEAT = """
    SELECT max(query_start), pg_sleep(0.03) FROM pg_stat_activity
     WHERE application_name = 'couponctl/tui' AND datname = current_database()
"""


@pytest.fixture
def busy_console(
    plant: Callable[..., None], environment: dict[str, str], sql: Callable[..., object]
) -> Iterator[Window]:
    """Draws twenty pictures a second, as long as something changes."""
    plant("SPRING", 1000)
    plant("SUMMER", 1000)
    with window("--refresh-hz", "20", environment=environment) as console:
        console.see("no claims yet")
        yield console


def longest_pause(watch: Watch, meanwhile: Callable[[], None]) -> float:
    """The longest time in which the console asked the database nothing, while it was not read from."""
    longest, last, began = 0.0, None, time.monotonic()
    changed = began
    while (now := time.monotonic()) < began + STALL:
        meanwhile()
        ((beat, _),) = watch.query(HEARTBEAT)
        if beat != last:
            last, changed = beat, now
        longest = max(longest, now - changed)
    return longest


def test_it_does_not_wait_for_the_terminal(busy_console: Window, watch: Watch) -> None:
    """Coupons go, and whoever sits before it tries every key."""

    def meanwhile() -> None:
        busy_console.type(ARROWS)
        watch.query("UPDATE coupons SET remaining_amount = remaining_amount - 1 WHERE name = 'SPRING'")

    assert longest_pause(watch, meanwhile) < 2
    ((left,),) = watch.query("SELECT remaining_amount FROM coupons WHERE name = 'SPRING'")
    busy_console.see(f"{left} of 1,000 left")


def test_it_knows_that_the_writer_of_this_version_of_textual_lags_behind() -> None:
    driver = TerminalDriver.__new__(TerminalDriver)
    driver._writer_thread = WriterThread(StringIO())  # it is not started, so that nothing is taken from it
    behind = []
    for _ in range(6):
        driver.write("a picture")
        behind.append(driver.behind)

    assert (behind[0], behind[-1]) == (False, True)
    assert MAX_QUEUED_WRITES > 10, "it would wait before it knows"


class ClosedWindow(StringIO):
    """A terminal that is no longer there."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        raise OSError(errno.EIO, "Input/output error")


def test_what_is_written_to_a_terminal_that_is_gone_is_lost_and_nothing_more() -> None:
    """Textual's writer would end, and whoever then writes wait for ever."""
    lost = _Vanishing(ClosedWindow())

    lost.flush()
    lost.write("a picture")
    lost.flush()


def test_a_signal_ends_the_drill_at_once_and_the_console_as_soon_as_it_can_restore_the_terminal(
    busy_console: Window, watch: Watch
) -> None:
    busy_console.run_drill("scale")
    watch.until("SELECT FROM pg_stat_activity WHERE application_name LIKE 'couponctl/drill-%'")
    busy_console.process.send_signal(signal.SIGTERM)
    watch.until("SELECT FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'", found=False)
    done = busy_console.finish()

    assert done.exit_code == 143
    assert modes_left(done.out) == {}
    watch.until(TRACES, found=False)
