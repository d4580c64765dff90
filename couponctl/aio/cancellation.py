"""Cancellation, once or repeatedly, of tasks that are working on a connection."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")


async def cancel_once(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in its own task, which is cancelled at most once and then ends undisturbed.

    A driver that is cancelled again while it cleans up abandons its backend, which keeps waiting for the
    row lock while the pool counts the connection as free. When the caller is cancelled, once or more,
    CancelledError is raised only after the work has ended.
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
            task.exception()  # marks it as retrieved, so that asyncio does not log it
        raise


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Open a TaskGroup that leaves no task running and raises its first error, not an ExceptionGroup."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise first from first.__cause__


async def gather_all(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Return the results of work done concurrently. Unlike asyncio.gather, leaves nothing running."""
    async with task_group() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end before cancellations of the caller take effect; its own error takes precedence.

    For clean-up that limits its own duration.
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
