"""What a drill must not leave on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.waiting import until

if TYPE_CHECKING:
    import asyncpg

_OURS = """
    SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'couponctl_drill_%') AS schemas,
           (SELECT count(*) FROM pg_stat_activity
             WHERE application_name ~ '^couponctl/(drill|admin)-' AND datname = current_database())
"""


async def assert_nothing_left(observer: asyncpg.Connection) -> None:
    """No drill's schema, and in the end no drill's backend, in the observer's database."""

    async def left() -> list[int]:
        return list(await observer.fetchrow(_OURS))

    await until(left, [0, 0])
