"""The README's shop: its example is taken out of it, run by uvicorn, and stormed over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Couponctl

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")

STORM = httpx.Limits(max_connections=200)
PATIENCE = 60.0
"""Seconds that a busy machine may take to answer."""


class Shop(NamedTuple):
    """The example, served by a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def end(self) -> str:
        """Ask it to end, as a deployment does; what it has logged until then."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        return self.log.read_text()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The program in the README's section on the library, in a file."""
    section = README.partition("\n## As a library\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    path = tmp_path / "shop.py"
    path.write_text(code)
    return path


def address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where it listens, as soon as it says so; fails with its log if it ends, or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not (told := re.search(r"Uvicorn running on (http://\S+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return told[1]


@pytest.fixture
def shop(example: Path, environment: dict[str, str]) -> Iterator[Shop]:
    """It listens on a port that was free, with warnings as errors."""
    log = example.with_suffix(".log")
    command = [sys.executable, "-W", "error", "-m", "uvicorn", "shop:app", "--port", "0", "--no-use-colors"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=example.parent, env=os.environ | environment, stdout=output, stderr=output
        ) as process,
    ):
        try:
            yield Shop(address(process, log), process, log)
        finally:
            process.kill()


async def storm(shop: Shop, coupon: str, users: list[str]) -> list[httpx.Response]:
    """All at the same time, each over a connection of its own."""
    async with httpx.AsyncClient(
        base_url=shop.url, limits=STORM, timeout=PATIENCE, trust_env=False
    ) as client:
        claims = [client.post(f"/coupons/{coupon}/claims", json={"user_id": user}) for user in users]
        return await asyncio.gather(*claims)


def answers(responses: list[httpx.Response]) -> Counter[tuple[int, str]]:
    return Counter((response.status_code, response.json()["outcome"]) for response in responses)


def test_two_hundred_users_claim_fifty_units_over_http(shop: Shop, couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "50")
    users = [f"user-{number}" for number in range(200)]

    responses = asyncio.run(storm(shop, "SPRING", users))
    winners = {user for user, response in zip(users, responses, strict=True) if response.status_code == 201}
    again = asyncio.run(storm(shop, "SPRING", sorted(winners)[:1]))

    assert answers(responses) == {(201, "claimed"): 50, (400, "sold_out"): 150}
    assert answers(again) == {(409, "already_claimed"): 1}
    assert set(json.loads(couponctl("show", "SPRING", "--json").out)["claimed_by"]) == winners
    assert couponctl("verify").exit_code == 0
    assert "Application shutdown complete" in (log := shop.end())
    assert not re.search("warning|error|traceback", log, re.IGNORECASE)


def test_what_is_no_claim_is_answered_too(shop: Shop, couponctl: Couponctl) -> None:
    couponctl("create", "2 for 1/2", "1")

    slash, missing, twice = asyncio.run(several(shop))

    assert (slash.status_code, slash.json()) == (201, {"outcome": "claimed"})
    assert (missing.status_code, missing.json()) == (404, {"outcome": "not_found"})
    assert (twice.status_code, twice.json()) == (400, {"error": "invalid"})


async def several(shop: Shop) -> list[httpx.Response]:
    """A name with a slash, a coupon that is not there, and a user id that no database can hold."""
    return [
        *await storm(shop, "2%20for%201%2F2", ["alice"]),
        *await storm(shop, "NEVER", ["alice"]),
        *await storm(shop, "SPRING", ["nul \0"]),
    ]


def test_a_shop_that_is_stopped_in_the_storm_leaves_a_ledger_that_balances(
    shop: Shop, couponctl: Couponctl
) -> None:
    couponctl("create", "SPRING", "100")
    users = [f"user-{number}" for number in range(200)]

    async def stopped_in_it() -> list[httpx.Response | BaseException]:
        async with httpx.AsyncClient(
            base_url=shop.url, limits=STORM, timeout=PATIENCE, trust_env=False
        ) as client:
            claims = [
                asyncio.create_task(client.post("/coupons/SPRING/claims", json={"user_id": user}))
                for user in users
            ]
            await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
            shop.process.send_signal(signal.SIGTERM)
            return await asyncio.gather(*claims, return_exceptions=True)

    told = asyncio.run(stopped_in_it())
    won = {
        user
        for user, response in zip(users, told, strict=True)
        if isinstance(response, httpx.Response) and response.status_code == 201
    }

    assert shop.process.wait(PATIENCE) is not None
    assert won
    assert won <= set(json.loads(couponctl("show", "SPRING", "--json").out)["claimed_by"])
    assert couponctl("verify").exit_code == 0
    assert "Traceback" not in shop.log.read_text()
