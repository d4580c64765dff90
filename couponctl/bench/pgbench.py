"""pgbench as the yardstick: the five-round-trip claim as a client written in C makes it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl import embedded
from couponctl.errors import BadSettings
from couponctl.pool_watch import nearest_rank

if TYPE_CHECKING:
    from couponctl.libpq import Server

CLIENTS = 50
"""At most: each has a connection of its own, and more only queue for the row."""

_SCRIPT = r"""\set coupon random(1, {coupons})
\set user random(1, 1000000000000000)
BEGIN;
SELECT remaining_amount FROM {schema}.coupons WHERE name = 'BENCH-' || :coupon FOR UPDATE;
INSERT INTO {schema}.claims (coupon_name, user_id) VALUES ('BENCH-' || :coupon, 'pgbench-' || :user);
UPDATE {schema}.coupons SET remaining_amount = remaining_amount - 1 WHERE name = 'BENCH-' || :coupon;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """Claims that were won, and how long each took, in seconds."""

    won: int
    seconds: float
    latencies: tuple[float, ...]
    """Sorted."""

    @property
    def claims_per_s(self) -> float:
        return self.won / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        return nearest_rank(self.latencies, share, scale=1000) or 0.0


def found() -> bool:
    """Whether pgbench is installed."""
    try:
        embedded.binary("pgbench")
    except BadSettings:
        return False
    return True


async def run_pgbench(server: Server, schema: str, *, clients: int, coupons: int, seconds: float) -> Timed:
    """Let it claim for so many seconds. Raises BadSettings where it does not run to its end."""
    with tempfile.TemporaryDirectory(prefix="couponctl-pgbench-") as directory:
        script = Path(directory) / "claim.sql"
        script.write_text(_SCRIPT.format(schema=schema, coupons=coupons), "utf-8")
        process = await asyncio.create_subprocess_exec(
            embedded.binary("pgbench"),
            *("--no-vacuum", "--protocol=prepared", f"--file={script}", "--log", "--log-prefix=latency"),
            *(f"--client={clients}", "--jobs=1", f"--time={max(1, round(seconds))}"),
            cwd=directory,
            env={**os.environ, **server.libpq_environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            raise BadSettings("pgbench did not run to its end", "Try --no-pgbench, or run it by hand")
        return _read(Path(directory))


def _read(directory: Path) -> Timed:
    """The log: client, transaction, microseconds, script, seconds and microseconds of the end."""
    latencies: list[float] = []
    began, ended = float("inf"), 0.0
    for log in directory.glob("latency*"):
        for line in log.read_text("ascii").splitlines():
            _client, _number, microseconds, _script, second, fraction = line.split()[:6]
            end = int(second) + int(fraction) / 1e6
            latency = int(microseconds) / 1e6
            latencies.append(latency)
            began, ended = min(began, end - latency), max(ended, end)
    return Timed(len(latencies), max(0.0, ended - began), tuple(sorted(latencies)))
