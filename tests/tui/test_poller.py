from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from couponctl.errors import Unreachable
from couponctl.tui.poller import Poller
from tests.support.tui.scenes import Clock


class Source:
    """Counts what is read, or fails."""

    def __init__(self) -> None:
        self.read = 0
        self.failure: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def __call__(self) -> int:
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.read += 1
        return self.read


class Fed(NamedTuple):
    poller: Poller[int]
    source: Source
    clock: Clock


@pytest.fixture
def fed() -> Fed:
    """A poller that nothing was read from yet."""
    source, clock = Source(), Clock()
    return Fed(Poller(source, every=3600, clock=clock), source, clock)


async def test_a_failure_keeps_what_was_read_and_says_how_old_it_is(fed: Fed) -> None:
    await fed.poller.refresh()
    fed.source.failure = Unreachable("connection refused")
    fed.clock.seconds += 12
    await fed.poller.refresh()

    assert fed.poller.value == 1
    assert fed.poller.stale == "stale 12 s: The database cannot be reached: connection refused."


async def test_it_recovers_by_itself(fed: Fed) -> None:
    fed.source.failure = Unreachable("connection refused")
    await fed.poller.refresh()
    assert fed.poller.stale == "The database cannot be reached: connection refused."

    fed.source.failure = None
    await fed.poller.refresh()
    assert (fed.poller.value, fed.poller.stale) == (1, "")


async def test_what_nobody_expected_is_told_without_its_details(fed: Fed) -> None:
    fed.source.failure = ValueError("password=secret")
    await fed.poller.refresh()

    assert fed.poller.stale == "unexpected: ValueError"


async def test_an_answer_that_does_not_come_makes_it_stale(fed: Fed) -> None:
    await fed.poller.refresh()
    fed.source.gate = asyncio.Event()
    reading = asyncio.create_task(fed.poller.refresh())
    await asyncio.sleep(0)
    assert fed.poller.stale == ""

    fed.clock.seconds += 3
    assert fed.poller.stale == "stale 3 s: no answer yet"

    fed.source.gate.set()
    await reading
    assert fed.poller.stale == ""


async def test_it_reads_only_while_somebody_looks_and_at_once_when_poked(fed: Fed) -> None:
    async def version(expected: int) -> None:
        async with asyncio.timeout(5):
            while fed.poller.version < expected:
                await asyncio.sleep(0)

    following = asyncio.create_task(fed.poller.follow())
    for _ in range(5):
        await asyncio.sleep(0)
    assert fed.source.read == 0

    fed.poller.resume()
    await version(1)
    fed.poller.poll_now()
    await version(2)

    fed.poller.pause()
    fed.poller.poll_now()
    for _ in range(20):
        await asyncio.sleep(0)
    assert fed.source.read == 2
    following.cancel()


async def test_a_failure_and_its_end_are_logged_once_each(fed: Fed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "couponctl")
    fed.source.failure = ValueError("password=secret")
    for _ in range(3):
        await fed.poller.refresh()
    fed.clock.seconds += 12
    fed.source.failure = None
    for _ in range(3):
        await fed.poller.refresh()

    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", "Source fails, and is repeated: ValueError."),
        ("INFO", "Source works again, after 12.0 s."),
    ]
