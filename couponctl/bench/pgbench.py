"""pgbench as the baseline: the claim in five round trips, made by a client written in C."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from couponctl import embedded
from couponctl.bench.timed import Timed
from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from couponctl.postgres.libpq import Server

CLIENTS = 50
"""Each has a connection of its own; more would only queue for the row."""

_LOGIN = 0.5
"""Seconds for their logins, which count towards pgbench's run time."""

_SCRIPT = r"""\set coupon random(1, {coupons})
\set user random(1, 1000000000000000)
BEGIN;
SELECT remaining_amount FROM {schema}.coupons WHERE name = 'BENCH-' || :coupon FOR UPDATE;
INSERT INTO {schema}.claims (coupon_name, user_id) VALUES ('BENCH-' || :coupon, 'pgbench-' || :user);
UPDATE {schema}.coupons SET remaining_amount = remaining_amount - 1 WHERE name = 'BENCH-' || :coupon;
COMMIT;
"""


def is_installed() -> bool:
    """Whether pgbench is installed beside the embedded server's programs, or in PATH."""
    try:
        embedded.binary("pgbench")
    except BadSettings:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Pgbench:
    """pgbench on the coupons BENCH-1, BENCH-2, ... of a schema."""

    server: Server
    schema: str
    application: str
    """The application_name of its connections."""

    async def run(self, *, coupons: int, seconds: float, warm_up: float) -> Timed:
        """Let pgbench claim for `warm_up` seconds that do not count, then for `seconds`.

        pgbench only runs for whole seconds: the time is rounded up. Raises BadSettings if pgbench fails.
        """
        with tempfile.TemporaryDirectory(prefix="couponctl-pgbench-") as directory:
            script = Path(directory) / "claim.sql"
            script.write_text(_SCRIPT.format(schema=self.schema, coupons=coupons), "utf-8")
            process = await asyncio.create_subprocess_exec(
                embedded.binary("pgbench"),
                *("--no-vacuum", "--protocol=prepared", f"--file={script}", "--log", "--log-prefix=latency"),
                *(f"--client={CLIENTS}", "--jobs=1", f"--time={ceil(seconds + warm_up + _LOGIN)}"),
                cwd=directory,
                env={**os.environ, **self.server.libpq_environment, "PGAPPNAME": self.application},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for couponctl, which ends pgbench
            )
            try:
                code = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            if code:
                raise BadSettings("pgbench did not run to its end", "Go on without it: --no-pgbench")
            return timed_by(Path(directory), warm_up)


def timed_by(directory: Path, warm_up: float) -> Timed:
    """Read pgbench's log: all claims count as won, those after the first `warm_up` seconds are timed.

    A line is a transaction: client, number, microseconds, script, then seconds and microseconds of its end.
    """
    transactions: list[tuple[float, float]] = []
    for log in directory.glob("latency*"):
        for line in log.read_text("ascii").splitlines():
            _client, _number, microseconds, _script, second, fraction = line.split()[:6]
            latency = int(microseconds) / 1e6
            transactions.append((int(second) + int(fraction) / 1e6 - latency, latency))
    counts_from = min((began for began, _ in transactions), default=0.0) + warm_up
    counted = [(began, latency) for began, latency in transactions if began >= counts_from]
    ended = max((began + latency for began, latency in counted), default=counts_from)
    return Timed(len(transactions), ended - counts_from, tuple(sorted(latency for _, latency in counted)))
