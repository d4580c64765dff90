"""A server that sends without end, or nonsense: one sentence, the right exit code, and little memory."""

from __future__ import annotations

import os
import resource
import shutil
import ssl
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.ratios.programs import SCALES
from tests.support import hostile
from tests.support.hostile import hostile_server
from tests.support.programs import COUPONCTL, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.hostile import Script

MEGABYTES_MORE = 100
"""What a flood may cost beside what the program takes anyway."""

FLOOD = "the server there sends more than any answer holds, so the connection was closed"
NO_POSTGRES = "the server there is not a PostgreSQL that couponctl understands"


class Weighed(NamedTuple):
    exit_code: int
    err: str
    megabytes: float


def weighed(*arguments: str, url: str) -> Weighed:
    """Run couponctl to its end; the most memory that it had resident."""
    done = subprocess.run(
        [sys.executable, "-c", SCALES, *COUPONCTL, *arguments],
        env={**os.environ, "COUPONCTL_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    *lines, resident = done.stderr.splitlines()
    unit = 1 if sys.platform == "darwin" else 1024
    return Weighed(done.returncode, "\n".join(lines), int(resident) * unit / 1e6)


@pytest.fixture(scope="module")
def usual() -> float:
    """The memory of a command that hears nothing, in megabytes."""
    return weighed("list", url="postgresql://shop@127.0.0.1:1/sale").megabytes


def assert_hung_up(ran: Weighed, usual: float, reason: str, exit_code: int) -> None:
    assert ran.exit_code == exit_code, ran
    assert reason in ran.err
    assert ran.err.count("\n") == 0
    assert ran.megabytes < usual + MEGABYTES_MORE


@pytest.mark.parametrize(
    "script",
    [
        hostile.endless_parameters,
        hostile.endless_notices,
        hostile.endless_rows,
        hostile.huge_message,
        hostile.short_message,
        hostile.another_protocol,
    ],
    ids=lambda script: script.__name__,
)
def test_a_flood_is_hung_up_on(script: Script, usual: float) -> None:
    with hostile_server(script) as port:
        ran = weighed("list", url=f"postgresql://shop@127.0.0.1:{port}/sale")

    assert_hung_up(ran, usual, FLOOD, 3)


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("show", "SPRING"),
        ("claim", "SPRING", "alice"),
        ("stats",),
        ("verify",),
        ("drill", "stampede", "--dry-run"),
        ("drill", "stampede", "--yes"),
        ("bench", "--yes"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("script", "reason", "exit_code"),
    [(hostile.endless_parameters, FLOOD, 3), (hostile.unreadable_version, NO_POSTGRES, 2)],
    ids=["flood", "nonsense"],
)
def test_every_command_says_so(
    command: tuple[str, ...], script: Script, reason: str, exit_code: int, usual: float
) -> None:
    with hostile_server(script) as port:
        ran = weighed(*command, url=f"postgresql://shop@127.0.0.1:{port}/sale")

    assert_hung_up(ran, usual, reason, exit_code)


def test_a_version_that_cannot_be_read_is_no_postgresql(usual: float) -> None:
    with hostile_server(hostile.unreadable_version) as port:
        ran = weighed("list", url=f"postgresql://shop@127.0.0.1:{port}/sale")

    assert_hung_up(ran, usual, NO_POSTGRES, 2)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2")
    subprocess.run(
        [openssl, *made, "-keyout", str(path), "-out", str(path.with_suffix(".crt"))],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.mark.parametrize("script", [hostile.endless_parameters, hostile.endless_rows], ids=["login", "rows"])
@pytest.mark.parametrize("negotiation", ["", "&sslnegotiation=direct"], ids=["upgraded", "direct"])
def test_an_encrypted_flood_is_hung_up_on_too(
    script: Script, negotiation: str, certificate: Path, usual: float
) -> None:
    encrypt = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encrypt.load_cert_chain(certificate)
    with hostile_server(script, encrypt=encrypt, direct=bool(negotiation)) as port:
        ran = weighed("list", url=f"postgresql://shop@127.0.0.1:{port}/sale?sslmode=require{negotiation}")

    assert_hung_up(ran, usual, FLOOD, 3)


@pytest.fixture
def long_names(plant: Callable[..., None], sql: Callable[..., object]) -> int:
    """A coupon with the longest page of the longest users, and as many coupons; how many."""
    plant("SPRING", 10_000)
    sql(
        "INSERT INTO claims SELECT 'SPRING', lpad(n::text, 255, chr(128176)) FROM generate_series(1, 10000) n"
    )
    sql("INSERT INTO coupons SELECT lpad(n::text, 255, chr(128176)), 1, 1 FROM generate_series(1, 9999) n")
    return 10_000


@pytest.mark.parametrize("command", [("list",), ("show", "SPRING")], ids=" ".join)
def test_the_longest_honest_answers_pass(
    command: tuple[str, ...], long_names: int, environment: dict[str, str]
) -> None:
    ran = finished(*command, "--limit", str(long_names), environment=environment)

    assert (ran.exit_code, ran.err) == (0, b"")
    assert ran.out.count(b"\n") == long_names + 1


@pytest.mark.parametrize("files", [10, 16, 24])
def test_a_process_that_may_open_few_files_is_told_so(files: int, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*COUPONCTL, "drill", "stampede", "--pool-size", "40", "--yes"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files)),
    )

    assert done.returncode == 3
    assert "too many open files" in done.stderr
    assert "`ulimit -n 1024`" in done.stderr
