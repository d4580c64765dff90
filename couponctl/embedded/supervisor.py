"""The parent of the private PostgreSQL: stops it when its last user has ended.

A command that finds no supervisor runs this file as a detached script, with only the standard library,
so that it is up in milliseconds. Whether a process is alive is never decided by its id but by file locks,
which the kernel releases when their holder ends, however it ends:

    supervisor.lock   held by the supervisor
    server.lock       held by every process of PostgreSQL, all of which inherit it
    users.lock        shared by all users of the server; held exclusively by the supervisor while it stops it

Every event is a byte written to the bell, a named pipe, so that none is missed between a check and a wait.

A supervisor that is killed must not leave the server running forever, so it has a successor: a process
that only reads from a pipe which the supervisor alone holds open. When that pipe closes, the successor
becomes the supervisor of the server that it finds, with a successor of its own. A successor that is killed
while it waits is replaced. If both are killed at once, the server is left alone until the next command starts
a supervisor that adopts it.
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

FIRST, SUCCESSOR = "first", "successor"
"""A supervisor's role, as `ps` shows it; a successor waits as the child of another supervisor."""
LOOK_AGAIN, NOW, CHILD, UNUSED, GONE = b"a", bytes([signal.SIGTERM]), bytes([signal.SIGCHLD]), b"u", b"g"
"""Events of the bell: `db stop`; `db stop --now` or SIGTERM; a child has ended; the users' lock is free; the
server's lock is free."""
HANDOVER_SECONDS = 1.0
"""Longer than a check shares the supervisor's lock, and than a dying process takes to release it."""
FAST_SECONDS, IMMEDIATE_SECONDS, TAKEOVER_SECONDS = 20.0, 10.0, 60.0
SOCKET = ".s.PGSQL.5432"


def listener(sockets: Path) -> int | None:
    """Return the process id of the server that listens there, according to the kernel; None without one."""
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
    """Supervises one server: started here, or left behind by a supervisor that was killed."""

    def __init__(self, arguments: list[str]) -> None:
        """The caller holds the supervisor's lock; `arguments` are those of `main`."""
        base, sockets, uid, gid, *self.command = arguments
        self.arguments = arguments
        self.base = Path(base)
        self.sockets = Path(sockets)
        self.owner = (int(uid), int(gid)) if os.geteuid() == 0 else None
        self.successor: int | None = None
        self.life, self.open_while_alive = os.pipe()
        bell = self.base / "bell"
        bell.unlink(missing_ok=True)
        os.mkfifo(bell, 0o600)
        self.ears = os.open(bell, os.O_RDONLY | os.O_NONBLOCK)
        self.bell = os.open(bell, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(self.ears, True)

    def watch(self, *, may_start: bool) -> None:
        """Adopt the server, or start one if `may_start` and there is none, and stay until it has ended."""
        signal.set_wakeup_fd(self.bell)
        self._post_successor()
        server = self._adopt_or_start(may_start=may_start)
        if server is not None:
            self._stay_with(server)
        self._dismiss_successor()

    def _stay_with(self, server: int) -> None:
        users = _open(self.base / "users.lock")
        self._ring_once_free(_open(self.base / "server.lock"), GONE)
        self._ring_once_free(users, UNUSED)
        event = self._await_the_end(users)
        if event == GONE or self._stop(server):
            with suppress(ChildProcessError):  # an adopted server is not our child
                os.waitpid(server, 0)
        if (link := self.base / "run").is_symlink():
            shutil.rmtree(self.sockets, ignore_errors=True)
            link.unlink()

    def _post_successor(self) -> None:
        program = [sys.executable, "-I", "-S", __file__, SUCCESSOR, *self.arguments]
        standard_input = (os.POSIX_SPAWN_DUP2, self.life, 0)
        try:
            self.successor = os.posix_spawn(program[0], program, os.environ, file_actions=[standard_input])
        except OSError as error:
            _say(f"the supervisor has no successor: {error.strerror}")

    def _replace_successor_if_killed(self) -> None:
        if self.successor is None:
            return
        ended, status = os.waitpid(self.successor, os.WNOHANG)
        if ended:
            self.successor = None
            if os.WIFSIGNALED(status):  # a successor that cannot run would fail again
                self._post_successor()

    def _dismiss_successor(self) -> None:
        if self.successor is not None:
            os.kill(self.successor, signal.SIGKILL)
            os.waitpid(self.successor, 0)

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
            elif event == CHILD:
                self._replace_successor_if_killed()

    def _ring_once_free(self, lock: int, event: bytes) -> None:
        def wait() -> None:
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(self.bell, event)

        _thread.start_new_thread(wait, ())

    def _adopt_or_start(self, *, may_start: bool) -> int | None:
        """Return the server's process id; None if there is none, or it does not listen within 60 s."""
        lock = _open(self.base / "server.lock")
        deadline = time.monotonic() + TAKEOVER_SECONDS
        try:
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return self._start(lock) if may_start else None
                if server := listener(self.sockets):
                    return server
                time.sleep(0.02)
        finally:
            os.close(lock)
        _say("processes of the last server are still running")
        return None

    def _start(self, lock: int) -> int:
        # The lock proves that no process of the last server is alive; files left by a crash would prevent the
        # next start if that server's process id now belongs to another process.
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
            os.execv(self.command[0], self.command)  # noqa: S606 -- no shell is the point
        except OSError as error:
            _say(f"{self.command[0]}: {error.strerror}")
        finally:
            os._exit(127)

    def _stop(self, server: int) -> bool:
        for wish, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, IMMEDIATE_SECONDS)):
            with suppress(ProcessLookupError):
                os.kill(server, wish)
                os.kill(server, signal.SIGCONT)  # a stopped server handles no other signal
            deadline = time.monotonic() + seconds
            while (left := deadline - time.monotonic()) > 0:
                if select.select([self.ears], [], [], left)[0] and os.read(self.ears, 1) == GONE:
                    return True
        return False


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _say(sentence: str) -> None:
    os.write(sys.stderr.fileno(), f"couponctl FATAL:  {sentence}\n".encode(errors="replace"))


def _is_ours(lock: int) -> bool:
    """Take the lock and keep it; False if another supervisor holds it."""
    deadline = time.monotonic() + HANDOVER_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.002)
    return False


def main() -> None:
    """Run with ROLE BASE SOCKETS UID GID COMMAND...; role `first` returns once there is a supervisor."""
    role, *arguments = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    if role == SUCCESSOR:
        os.setsid()
        os.read(0, 1)  # nothing is ever written: returns when the supervisor has ended
    lock = _open(Path(arguments[0]) / "supervisor.lock")
    if not _is_ours(lock):
        return
    supervisor = Supervisor(arguments)
    if role == SUCCESSOR or os.fork() == 0:
        supervisor.watch(may_start=role == FIRST)


if __name__ == "__main__":
    main()
