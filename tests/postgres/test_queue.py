from __future__ import annotations

import asyncio

import pytest

from couponctl.postgres.queue import FairQueue


@pytest.fixture
def discarded() -> list[str]:
    return []


@pytest.fixture
def queue(discarded: list[str]) -> FairQueue[str]:
    """Four places, two of them for one key."""
    return FairQueue(4, max_per_key=2, discard=discarded.append)


async def queued(
    queue: FairQueue[str], key: str | None = None, *, timeout: float = 10
) -> asyncio.Task[str | None]:
    """Somebody who has come to the queue."""
    before = queue.waiting
    task = asyncio.create_task(queue.acquire(timeout, key))
    while queue.waiting == before:
        await asyncio.sleep(0)
    return task


async def fill(queue: FairQueue[str]) -> None:
    for _ in range(4):
        assert await queue.acquire(10) is None


async def test_who_comes_first_is_let_in_first_and_gets_what_was_left(queue: FairQueue[str]) -> None:
    await fill(queue)
    first, second = await queued(queue), await queued(queue)

    queue.release(thing="a connection")

    assert await first == "a connection"
    assert not second.done()
    queue.release()
    assert await second is None
    assert queue.waiting == 0


async def test_only_a_few_are_let_in_about_one_subject_and_others_pass_them(queue: FairQueue[str]) -> None:
    await queue.acquire(10, "hot")
    await queue.acquire(10, "hot")
    third = await queued(queue, "hot")

    assert await queue.acquire(10, "cool") is None
    assert not queue.open_to("hot")
    assert queue.open_to("cool")
    queue.release("cool", "not for the hot one")
    await asyncio.sleep(0)
    assert not third.done()
    queue.release("hot", "for it")
    assert await third == "for it"


async def test_subjects_take_turns(queue: FairQueue[str]) -> None:
    await fill(queue)
    tasks = {name: await queued(queue, name[0]) for name in ("a1", "a2", "b1", "b2")}
    order: list[str] = []

    for _ in range(4):
        queue.release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        order += [name for name, task in tasks.items() if task.done() and name not in order]

    assert order == ["a1", "b1", "a2", "b2"]


async def test_who_waits_too_long_gives_up_and_the_next_is_served(queue: FairQueue[str]) -> None:
    await fill(queue)
    impatient, patient = await queued(queue, timeout=0.01), await queued(queue)

    with pytest.raises(TimeoutError):
        await impatient
    queue.release()

    assert await patient is None


async def test_a_turn_that_comes_with_the_cancellation_goes_on_to_the_next(queue: FairQueue[str]) -> None:
    await fill(queue)
    cancelled, following = await queued(queue, "x"), await queued(queue)

    queue.release(thing="a connection")
    cancelled.cancel()

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await following == "a connection"
    assert queue.waiting == 0


async def test_what_nobody_waits_for_is_discarded_and_the_place_is_free(
    queue: FairQueue[str], discarded: list[str]
) -> None:
    await fill(queue)
    cancelled = await queued(queue)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    queue.release(thing="a connection")

    assert discarded == ["a connection"]
    assert queue.open_to(None)
