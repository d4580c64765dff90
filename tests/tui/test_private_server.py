"""A console that is killed on a private server: its drill cleans up before the server stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from couponctl import embedded
from tests.support.processes import children_of, gone, soon
from tests.support.sessions import Watch, execute
from tests.support.tui.windows import window

if TYPE_CHECKING:
    from pathlib import Path

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%'"

STARTS_A_DRILL = """
import os, signal, sys
from pathlib import Path
from couponctl.drills.engine import Target
from couponctl.drills.catalog.sale import SCALE
from couponctl.server import kept_up, server_for
from couponctl.postgres.limits import DEFAULT_LIMITS
from couponctl.settings import Embedded, Settings
from couponctl.tui.drill_process import DrillProcess, Order

settings = Settings(Embedded(Path(sys.argv[1])))
with server_for(settings) as server:
    order = Order(SCALE.spec(DEFAULT_LIMITS, {"n": 2000}, seed=7), Target(server, DEFAULT_LIMITS))
    with kept_up(settings) as descriptors:
        drill = DrillProcess(order, descriptors)
    print(drill._process.pid, flush=True)
    os.kill(drill._process.pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def assert_all_ends(base: Path, *processes: int) -> None:
    """The processes and the server end by themselves, and no schema of a drill is in the database."""
    assert gone(*processes)
    cluster = embedded.Cluster(base)
    assert soon(lambda: not (cluster.alive or cluster.supervised))
    with embedded.running(base) as url:
        assert execute(url, SCHEMAS) == []


def test_a_killed_console_leaves_neither_schema_nor_process_nor_server(private_base: Path) -> None:
    with window(environment={"COUPONCTL_DATA_DIR": str(private_base)}) as console:
        console.see("no coupons yet")
        watch = Watch(embedded.status(private_base).url)
        console.start_drill("query-timeout")
        watch.until(SCHEMAS)
        (process,) = children_of(console.process.pid)
        console.process.kill()
        watch.close()

        assert_all_ends(private_base, process)


def test_a_drill_holds_the_server_before_it_has_even_loaded(private_base: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-c", STARTS_A_DRILL, private_base], capture_output=True, check=False, text=True
    )
    process = int(started.stdout)
    in_the_meantime = embedded.stop(private_base)
    os.kill(process, signal.SIGCONT)

    assert in_the_meantime is embedded.Stopped.IN_USE
    assert_all_ends(private_base, process)
