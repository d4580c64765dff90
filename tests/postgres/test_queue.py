from __future__ import annotations

import asyncio

import pytest

from couponctl.postgres.queue import Gate


@pytest.fixture
def discarded() -> list[str]:
    return []


@pytest.fixture
def gate(discarded: list[str]) -> Gate[str]:
    """Four places, two of them for one subject."""
    return Gate(4, abreast=2, discard=discarded.append)


async def queued(
    gate: Gate[str], subject: str | None = None, *, patience: float = 10
) -> asyncio.Task[str | None]:
    """Somebody who has come to the queue."""
    before = gate.waiting
    task = asyncio.create_task(gate.enter(patience, subject))
    while gate.waiting == before:
        await asyncio.sleep(0)
    return task


async def fill(gate: Gate[str]) -> None:
    for _ in range(4):
        assert await gate.enter(10) is None


async def test_who_comes_first_is_let_in_first_and_gets_what_was_left(gate: Gate[str]) -> None:
    await fill(gate)
    first, second = await queued(gate), await queued(gate)

    gate.leave(thing="a connection")

    assert await first == "a connection"
    assert not second.done()
    gate.leave()
    assert await second is None
    assert gate.waiting == 0


async def test_only_a_few_are_let_in_about_one_subject_and_others_pass_them(gate: Gate[str]) -> None:
    await gate.enter(10, "hot")
    await gate.enter(10, "hot")
    third = await queued(gate, "hot")

    assert await gate.enter(10, "cool") is None
    assert not gate.open_to("hot")
    assert gate.open_to("cool")
    gate.leave("cool", "not for the hot one")
    await asyncio.sleep(0)
    assert not third.done()
    gate.leave("hot", "for it")
    assert await third == "for it"


async def test_subjects_take_turns(gate: Gate[str]) -> None:
    await fill(gate)
    tasks = {name: await queued(gate, name[0]) for name in ("a1", "a2", "b1", "b2")}
    order: list[str] = []

    for _ in range(4):
        gate.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        order += [name for name, task in tasks.items() if task.done() and name not in order]

    assert order == ["a1", "b1", "a2", "b2"]


async def test_who_waits_too_long_gives_up_and_the_next_is_served(gate: Gate[str]) -> None:
    await fill(gate)
    impatient, patient = await queued(gate, patience=0.01), await queued(gate)

    with pytest.raises(TimeoutError):
        await impatient
    gate.leave()

    assert await patient is None


async def test_a_turn_that_comes_with_the_cancellation_goes_on_to_the_next(gate: Gate[str]) -> None:
    await fill(gate)
    cancelled, following = await queued(gate, "x"), await queued(gate)

    gate.leave(thing="a connection")
    cancelled.cancel()

    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await following == "a connection"
    assert gate.waiting == 0


async def test_what_nobody_waits_for_is_discarded_and_the_place_is_free(
    gate: Gate[str], discarded: list[str]
) -> None:
    await fill(gate)
    cancelled = await queued(gate)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    gate.leave(thing="a connection")

    assert discarded == ["a connection"]
    assert gate.open_to(None)
