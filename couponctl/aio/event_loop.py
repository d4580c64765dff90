"""The event loop for load: hundreds or thousands of concurrent claims."""

from __future__ import annotations

import asyncio


def loop_for_load() -> asyncio.AbstractEventLoop:
    """Return a uvloop event loop where uvloop is installed (it is not for PyPy), else asyncio's own.

    With uvloop, a refusal (one round trip and the client's own work) takes three fifths of the time; a
    storm of 500 on 50 units, which also waits for the server's disk, nine tenths. One claim gains nothing.
    """
    try:
        import uvloop  # noqa: PLC0415 - imported only for load
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
