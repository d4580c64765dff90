"""The parent of the private PostgreSQL: stops it when its last user has gone.

A command that finds no supervisor runs this file as a script, detached, with nothing but the standard
library, so that it is there in milliseconds. Who is alive is never asked of a process id but of file
locks, which the kernel drops with their holder, however it dies:

    supervisor.lock   held by the supervisor
    server.lock       held by every process of PostgreSQL, which inherit it
    users.lock        shared by all who use the server; held alone by the supervisor while it stops it

Whatever happens rings the bell, a named pipe, as one byte: so nothing can be missed between a look and
a wait.
"""

from __future__ import annotations

import _thread
import fcntl
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

LOOK_AGAIN, NOW, UNUSED, GONE = b"a", bytes([signal.SIGTERM]), b"u", b"g"
"""What rings the bell: `db stop`; the same in a hurry, or SIGTERM; the users' lock; the server's lock."""
FAST_SECONDS, IMMEDIATE_SECONDS, TAKEOVER_SECONDS = 20.0, 10.0, 60.0
SOCKET = ".s.PGSQL.5432"


def listener(sockets: Path) -> int | None:
    """The process id of the server that listens there, as the kernel knows it; None when there is none."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(sockets / SOCKET))
            if sys.platform == "darwin":
                return probe.getsockopt(0, 2) or None  # SOL_LOCAL, LOCAL_PEERPID
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    return int(struct.unpack("3i", credentials)[0]) or None


class Supervisor:
    """Watches over one server: started here, or left behind by a supervisor that was killed."""

    def __init__(self, base: Path, sockets: Path, owner: tuple[int, int] | None) -> None:
        self.base = base
        self.sockets = sockets
        self.owner = owner
        self.alone = _open(base / "supervisor.lock")
        fcntl.flock(self.alone, fcntl.LOCK_EX)
        bell = base / "bell"
        bell.unlink(missing_ok=True)
        os.mkfifo(bell, 0o600)
        self.ears = os.open(bell, os.O_RDONLY | os.O_NONBLOCK)
        self.bell = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(self.ears, True)

    def watch(self, command: list[str]) -> int:
        """Start or adopt the server and stay until it has ended; the exit status of this process."""
        server = self._adopt_or_start(command)
        if server is None:
            _say("processes of the last server are still running")
            return 1
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.set_wakeup_fd(self.bell)
        users = _open(self.base / "users.lock")
        self._ring_once_free(_open(self.base / "server.lock"), GONE)
        self._ring_once_free(users, UNUSED)
        event = self._await_the_end(users)
        if event == GONE or self._stop(server):
            with suppress(ChildProcessError):  # an adopted one is not ours to bury
                os.waitpid(server, 0)
        if (link := self.base / "run").is_symlink():
            shutil.rmtree(self.sockets, ignore_errors=True)
            link.unlink()
        return 0

    def _await_the_end(self, users: int) -> bytes:
        waiting = True
        while True:
            event = os.read(self.ears, 1)
            if event in {GONE, NOW}:
                return event
            if event == UNUSED:
                if not (self.base / "keep").exists():
                    return event
                fcntl.flock(users, fcntl.LOCK_UN)
                waiting = False
            elif event == LOOK_AGAIN and not waiting:
                self._ring_once_free(users, UNUSED)
                waiting = True

    def _ring_once_free(self, lock: int, event: bytes) -> None:
        def wait() -> None:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(self.bell, event)

        _thread.start_new_thread(wait, ())

    def _adopt_or_start(self, command: list[str]) -> int | None:
        lock = _open(self.base / "server.lock")
        deadline = time.monotonic() + TAKEOVER_SECONDS
        try:
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return self._start(command, lock)
                if server := listener(self.sockets):
                    return server
                time.sleep(0.02)
        finally:
            os.close(lock)
        return None

    def _start(self, command: list[str], lock: int) -> int:
        # The lock proves that no process of the last server lives; what a crash left behind would keep
        # the next one from starting if its process id belongs to somebody else by now.
        for stale in (
            self.base / "data/postmaster.pid",
            self.sockets / SOCKET,
            self.sockets / f"{SOCKET}.lock",
        ):
            stale.unlink(missing_ok=True)
        if server := os.fork():
            return server
        try:
            os.setsid()
            os.set_inheritable(lock, True)
            if self.owner:
                os.setgroups([])
                os.setgid(self.owner[1])
                os.setuid(self.owner[0])
            os.execv(command[0], command)  # noqa: S606 -- no shell is the point
        except OSError as error:
            _say(f"{command[0]}: {error.strerror}")
        finally:
            os._exit(127)

    def _stop(self, server: int) -> bool:
        for wish, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, IMMEDIATE_SECONDS)):
            with suppress(ProcessLookupError):
                os.kill(server, wish)
                os.kill(server, signal.SIGCONT)  # a frozen server hears nothing
            deadline = time.monotonic() + seconds
            while (left := deadline - time.monotonic()) > 0:
                if select.select([self.ears], [], [], left)[0] and os.read(self.ears, 1) == GONE:
                    return True
        return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _say(sentence: str) -> None:
    os.write(sys.stderr.fileno(), f"couponctl FATAL:  {sentence}\n".encode(errors="replace"))


def main() -> None:
    """BASE SOCKETS UID GID COMMAND...: returns to the caller when the supervisor holds its lock."""
    base, sockets, uid, gid, *command = sys.argv[1:]
    owner = (int(uid), int(gid)) if os.geteuid() == 0 else None
    supervisor = Supervisor(Path(base), Path(sockets), owner)
    if os.fork() == 0:
        os._exit(supervisor.watch(command))


if __name__ == "__main__":
    main()
