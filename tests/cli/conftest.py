"""What the command line's tests share: damage to the test's database, roles with few rights, contexts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from couponctl import settings
from tests.support.sessions import PASSWORD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Answer, Couponctl

Context = Callable[..., None]
Json = Callable[..., Any]


@pytest.fixture
def context(
    tmp_path: Path, database_url: str, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> Context:
    """Writes a context for the test's database into config.toml and chooses it."""

    def choose(lines: str, url: str = database_url) -> None:
        config = tmp_path / "config.toml"
        config.write_text(f"[contexts.shop]\nurl = {json.dumps(url)}\n{lines}\n")
        config.chmod(0o600)
        monkeypatch.setattr(settings, "config_path", lambda: config)
        monkeypatch.delenv("COUPONCTL_URL")
        monkeypatch.setenv("COUPONCTL_CONTEXT", "shop")

    return choose


@pytest.fixture
def answered(couponctl: Couponctl) -> Json:
    """Runs a command with --json; the document, which must be all that is on stdout."""
    return lambda *arguments: json.loads(couponctl(*arguments, "--json").out)


INTERNALS = re.compile(
    rf"{PASSWORD}|Traceback|asyncpg|sqlalchemy|psycopg|SELECT |INSERT |\$1|Error\b|Exception"
    r"|\b(?=[A-Z]*\d)[0-9][0-9A-Z]{4}\b"  # an SQLSTATE that begins with a digit
)


@pytest.fixture
def refused(couponctl: Couponctl) -> Callable[..., str]:
    """Runs a command on a sick database in every tone of voice; the one sentence that it says."""

    def refused(*command: str, exit_code: int, code: str) -> str:
        plain, verbose, document = (couponctl(*command, *tone) for tone in ([], ["-v"], ["--json"]))
        assert plain.exit_code == verbose.exit_code == document.exit_code == exit_code, plain
        assert plain.err == verbose.err == document.err
        assert (plain.out, verbose.out) == ("", "")
        assert plain.err.count("\n") == 1
        error = json.loads(document.out)["error"]
        assert error["code"] == code
        assert error["hint"], "there is no way out"
        sentence = plain.err.removeprefix("couponctl: ").rstrip("\n")
        assert sentence == f"{error['message']} {error['hint']}"
        assert_discreet(plain, document)
        return sentence

    return refused


def assert_discreet(*answers: Answer) -> None:
    for answer in answers:
        without_ports = re.sub(r":\d+\b", "", answer.out + answer.err)
        assert not INTERNALS.search(without_ports)
