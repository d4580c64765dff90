"""couponctl as a process of its own: on pipes, or on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

COUPONCTL = (sys.executable, "-m", "couponctl")


@dataclass(frozen=True)
class Finished:
    """A process that has ended, and the bytes that it wrote."""

    exit_code: int
    out: bytes
    err: bytes


def finished(
    *arguments: str, environment: Mapping[str, str], stdin: bytes = b"", through: Sequence[str] = ()
) -> Finished:
    """Run couponctl on pipes to its end, `through` another program if need be."""
    done = subprocess.run(
        [*through, *COUPONCTL, *arguments],
        env={**os.environ, **environment},
        input=stdin,
        capture_output=True,
        check=False,
        timeout=DEADLINE * 3,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(
    *arguments: str, environment: Mapping[str, str], program: Sequence[str] = COUPONCTL
) -> Iterator[subprocess.Popen[bytes]]:
    """couponctl, or another `program`, on pipes while it runs; what is left of it at the end is killed."""
    with subprocess.Popen(
        [*program, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """couponctl on a controlling terminal, whose every byte is kept."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        program: Sequence[str] = COUPONCTL,
        size: tuple[int, int] = (80, 24),
    ) -> None:
        """`program` is what runs; `size` is in columns and rows."""
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, size[::-1])
        self.seen = b""
        self.process = subprocess.Popen(
            [*program, *arguments],
            env={**os.environ, "TERM": "xterm", "COLUMNS": "", "LINES": "", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no thread runs here
        )
        os.close(slave)

    @property
    def attributes(self) -> list[object]:
        """How the terminal treats what is typed and shown."""
        return list(termios.tcgetattr(self._master))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, appeared: Callable[[bytes], bool]) -> bytes:
        """All that was shown so far, as soon as `appeared` finds in it what it looks for."""
        ends = time.monotonic() + DEADLINE
        while not appeared(self.seen):
            assert time.monotonic() < ends, f"not shown within {DEADLINE:g} s, but: {self.seen!r}"
            if select.select([self._master], [], [], 0.1)[0] and not self._read():
                assert appeared(self.seen), f"ended with {self.seen!r}"
        return self.seen

    def interrupt(self) -> Finished:
        """Ctrl-C, until it is heard: Python misses one that comes just before it begins to read."""
        ends = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < ends, f"not heard within {DEADLINE:g} s: {self.seen!r}"
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        return self.finish()

    def finish(self) -> Finished:
        """Everything that it shows until it ends; a terminal has one stream only."""
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            if select.select([self._master], [], [], 0.1)[0] and not self._read():
                break
        return Finished(self.process.wait(DEADLINE), self.seen, b"")

    def hang_up(self) -> None:
        """Close the terminal's window."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        self.process.kill()
        self.process.wait(DEADLINE)

    def _read(self) -> bool:
        try:
            more = os.read(self._master, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.seen += more
        return bool(more)


@contextmanager
def terminal(*arguments: str, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """couponctl on a terminal of its own, for as long as the body lasts."""
    opened = Terminal(*arguments, environment=environment)
    try:
        yield opened
    finally:
        opened.close()


def shown(*arguments: str, environment: Mapping[str, str]) -> Finished:
    """Run couponctl on a terminal to its end."""
    with terminal(*arguments, environment=environment) as opened:
        return opened.finish()
