"""Services that leave something behind with every claim: on the server, in the pool, in the process."""

from __future__ import annotations

import threading
from typing import ClassVar

from sqlalchemy import text

from couponctl.service import Attempt, CouponService
from tests.support.mutants.mutant import Mutant


class _LeavesLocks(CouponService):
    """Locks for the session, not for the transaction."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        async with self.database.session("AUTOCOMMIT") as session:
            await session.execute(text("SELECT pg_advisory_lock_shared(1)"))
        return await super().claim(name, user_id)


class _LeavesSettings(CouponService):
    """Switches off the time limit of whoever has the connection next."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        async with self.database.session("AUTOCOMMIT") as session:
            await session.execute(text("SET statement_timeout = 0"))
        return await super().claim(name, user_id)


class _LeavesTables(CouponService):
    """Notes attempts in a table that lasts as long as the connection."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        async with self.database.session("AUTOCOMMIT") as session:
            await session.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS attempts (user_id text)"))
        return attempt


class _LeavesEars(CouponService):
    """Has the server tell a connection of everything from now on."""

    async def claim(self, name: str, user_id: str) -> Attempt:
        attempt = await super().claim(name, user_id)
        async with self.database.session("AUTOCOMMIT") as session:
            await session.execute(text("LISTEN sold_out"))
        return attempt


class _LeavesThreads(CouponService):
    over: ClassVar[threading.Event] = threading.Event()

    async def claim(self, name: str, user_id: str) -> Attempt:
        threading.Thread(target=self.over.wait, daemon=True).start()
        return await super().claim(name, user_id)


class _LeavesMemory(CouponService):
    """Keeps a megabyte of each claim."""

    kept: ClassVar[list[bytes]] = []

    async def claim(self, name: str, user_id: str) -> Attempt:
        self.kept.append(b"x" * (1 << 20))
        return await super().claim(name, user_id)


MUTANTS = (
    Mutant("locks left", service_class=_LeavesLocks),
    Mutant("settings left", service_class=_LeavesSettings),
    Mutant("temporary table left", service_class=_LeavesTables),
    Mutant("listening left", service_class=_LeavesEars),
    Mutant("threads left", service_class=_LeavesThreads),
    Mutant("memory left", service_class=_LeavesMemory),
)


def give_back_kept() -> None:
    """Let go what these mutants have kept."""
    _LeavesMemory.kept.clear()
    _LeavesThreads.over.set()
    _LeavesThreads.over = threading.Event()
