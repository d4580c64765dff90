"""How a task that is working on a connection takes a cancellation, or several of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")


async def cancel_once(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in a task of its own, which hears of a cancellation exactly once and then ends in peace.

    A driver that is cancelled again while it clears up after the first time abandons its backend, which
    goes on waiting for the row lock while the pool counts the connection as free. Any further
    cancellation of the caller waits for the work to end, then CancelledError is raised.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # seen, so that nobody is told that it was never retrieved
        raise


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks of which none is left running, however it ends; its first error leaves it bare."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def gather_all(*work: Coroutine[Any, Any, T]) -> list[T]:
    """The results of work done at the same time. Unlike asyncio.gather it leaves nothing running."""
    async with task_group() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, however often the caller is cancelled meanwhile; then CancelledError is raised.

    For clean-up, which bounds itself.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None and not task.exception():
        raise cancelled
    return task.result()
