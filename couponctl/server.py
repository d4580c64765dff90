"""From settings to a running server: the embedded one is started, and stays up while in use."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from couponctl import embedded
from couponctl.logs import logger
from couponctl.postgres.libpq import Server, server_at
from couponctl.settings import Embedded, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


_log = logger(__name__)


@contextmanager
def server_for(settings: Settings) -> Iterator[Server]:
    """Yield the settings' server. Raises BadSettings or Unreachable if the embedded one does not start."""
    match settings.target:
        case Server() as server:
            _log.info("The database is %s, from %s.", server.where, server.source)
            yield server
        case Embedded(base):
            base = base or embedded.default_base()
            with embedded.running(base) as url:
                _log.info("The database is the private one in %s.", base)
                yield server_at(url, source="embedded", password=embedded.password(base))


@contextmanager
def kept_up(settings: Settings) -> Iterator[tuple[int, ...]]:
    """Yield the descriptors that a child must inherit to use the server, even after its parent ends."""
    match settings.target:
        case Server():
            yield ()
        case Embedded(base):
            with embedded.kept_up(base or embedded.default_base()) as descriptor:
                yield (descriptor,)
