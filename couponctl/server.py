"""From settings to a server that answers: the embedded one is started, and kept as long as it is used."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from couponctl import embedded
from couponctl.postgres.libpq import Server, server_at
from couponctl.settings import Embedded, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def server_for(settings: Settings) -> Iterator[Server]:
    """The server that the settings name; BadSettings or Unreachable where an embedded one will not start."""
    match settings.target:
        case Server() as server:
            yield server
        case Embedded(base):
            base = base or embedded.default_base()
            with embedded.running(base) as url:
                yield server_at(url, source="embedded", password=embedded.password(base))


@contextmanager
def kept_up(settings: Settings) -> Iterator[tuple[int, ...]]:
    """What a child process must inherit to use that server, even longer than its parent does."""
    match settings.target:
        case Server():
            yield ()
        case Embedded(base):
            with embedded.kept_up(base or embedded.default_base()) as descriptor:
                yield (descriptor,)
