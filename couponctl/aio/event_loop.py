"""The event loop that carries a load: hundreds of claims under way, or thousands."""

from __future__ import annotations

import asyncio


def loop_for_load() -> asyncio.AbstractEventLoop:
    """uvloop's where it can be had, which is not on Windows.

    A refusal, which is one round trip and the client's own work, takes three fifths of the time with it;
    a storm of 500 on 50 units, which also waits for the server's disk, nine tenths. One claim gains nothing.
    """
    try:
        import uvloop  # noqa: PLC0415 - what carries no load does not load it
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
