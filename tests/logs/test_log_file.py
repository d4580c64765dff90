"""The log as a file: private, appended to, a line per record whatever is in it, shared by processes."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import Invalid
from couponctl.logs import logger
from couponctl.logs.log_file import Log, last_lines, level_of, log_to_file, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ([A-Z]+) (couponctl[\w.]*) (\d+): (.*)")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[..., Log]]:
    """Opens the log; it is closed in the end."""
    logs: list[Log] = []

    def opened(level: int = logging.INFO) -> Log:
        logs.append(log_to_file(str(path), level, named_by="the test"))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


def test_a_line_has_time_level_logger_and_process(path: Path, opened: Callable[..., Log]) -> None:
    opened()
    logger("couponctl.tests").warning("Host %s is gone for %.1f s.", "db1", 2.04)

    (line,) = path.read_text().splitlines()
    parts = LINE.fullmatch(line)
    assert parts
    assert parts.groups() == ("WARNING", "couponctl.tests", str(os.getpid()), "Host db1 is gone for 2.0 s.")


def test_the_time_is_utc(path: Path, opened: Callable[..., Log]) -> None:
    opened()
    record = logging.LogRecord("couponctl.tests", logging.INFO, "", 0, "now", (), None)
    record.created = 1_800_000_000.0625
    logger("couponctl.tests").handle(record)

    assert path.read_text().startswith("2027-01-15T08:00:00.062Z INFO ")


@pytest.mark.parametrize("odd", ["two\nlines", "\x1b[2J", "\u202eback", "a\rb", "\ud800"])
def test_a_record_is_one_line_whatever_it_holds(path: Path, opened: Callable[..., Log], odd: str) -> None:
    log = opened()
    for message in (f"It said {odd}.", "The next."):  # straight to it: pytest-xdist sends no lone surrogates
        log.handle(logging.LogRecord("couponctl.tests", logging.INFO, "", 0, message, (), None))

    first, second = path.read_bytes().splitlines()
    assert first.isascii()
    assert rb"\u{" in first
    assert second.endswith(b"The next.")


def test_an_error_on_the_way_is_not_quoted(path: Path, opened: Callable[..., Log]) -> None:
    opened()
    try:
        int("user alice")
    except ValueError:
        logger("couponctl.tests").exception("It failed.")

    assert "alice" not in path.read_text()
    assert len(path.read_text().splitlines()) == 1


def test_a_new_file_is_private_and_an_old_one_is_kept(path: Path, opened: Callable[..., Log]) -> None:
    before = os.umask(0)
    try:
        opened().close()
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("before\n")
    path.chmod(0o640)
    opened()
    logger("couponctl.tests").info("After.")

    first, second = path.read_text().splitlines()
    assert (first, second[-6:]) == ("before", "After.")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_level_leaves_out_what_is_below_it(path: Path, opened: Callable[..., Log]) -> None:
    opened(logging.WARNING)
    logger("couponctl.tests").info("Not this.")
    logger("couponctl.tests").warning("This.")

    assert [line[-5:] for line in path.read_text().splitlines()] == ["This."]


def test_a_closed_log_takes_nothing_and_asks_for_nothing(path: Path, opened: Callable[..., Log]) -> None:
    log = opened(logging.DEBUG)
    assert open_file() is log
    log.close()
    log.close()
    logger("couponctl.tests").warning("Nobody hears this.")

    assert path.read_text() == ""
    assert open_file() is None
    assert not logger("couponctl.tests").isEnabledFor(logging.INFO)


def test_what_could_not_be_written_is_counted_where_it_is_missing(
    path: Path, opened: Callable[..., Log]
) -> None:
    log = opened()
    full = os.open("/dev/full", os.O_WRONLY)
    file, log.descriptor = log.descriptor, full
    for _ in range(3):
        logger("couponctl.tests").info("Lost.")
    log.descriptor = file
    os.close(full)
    logger("couponctl.tests").info("Written.")

    lost, written = path.read_text().splitlines()
    assert lost.endswith("3 records before this one could not be written.")
    assert written.endswith("Written.")


WRITER = """
import sys
from couponctl.logs import logger
from couponctl.logs.log_file import log_to_file
log_to_file(sys.argv[1], 20, named_by="it")
for number in range(300):
    logger("couponctl.tests").info("%s of %s", number, "x" * 300)
"""


def test_processes_that_share_it_do_not_tear_each_others_lines(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen(command) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]

    lines = path.read_text().splitlines()
    assert len(lines) == 900
    assert all(LINE.fullmatch(line) for line in lines)


@pytest.mark.parametrize("word", ["debug", "INFO", " Warning "])
def test_levels_are_known_however_they_are_written(word: str) -> None:
    assert level_of(word) == getattr(logging, word.strip().upper())


@pytest.mark.parametrize("word", ["verbose", "10", "NOTSET", "error"])
def test_other_levels_are_refused(word: str) -> None:
    with pytest.raises(Invalid, match="must be debug, info or warning"):
        level_of(word)


def test_the_last_lines_are_those_of_couponctl(path: Path, opened: Callable[..., Log]) -> None:
    path.write_bytes(b"password=S3cretPw\n\xff\x1b[2J\n" + b"y" * 100_000 + b"\n")
    opened()
    for number in range(5):
        logger("couponctl.tests").info("Number %s.", number)
    path.write_text(path.read_text(errors="replace") + "2027 INFO somebody 1: else\n")

    assert [line[-9:] for line in last_lines(path, 2)] == ["Number 3.", "Number 4."]
    assert list(last_lines(path.with_name("missing"), 2)) == []


LIBRARY = """
import logging
import couponctl.service, couponctl.drills.engine, couponctl.embedded
logging.getLogger("couponctl.service").warning("unasked")
"""


def test_who_asks_for_no_log_sees_nothing_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", LIBRARY], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")


def test_an_application_hears_it_in_its_own_way() -> None:
    own = LIBRARY.replace("import logging\n", "import logging; logging.basicConfig()\n")
    done = subprocess.run([sys.executable, "-c", own], capture_output=True, check=True)

    assert done.stderr == b"WARNING:couponctl.service:unasked\n"
