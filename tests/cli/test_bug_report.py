"""`couponctl doctor --report`: all that a bug report needs, and nothing that is nobody's business."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

import couponctl as package
from tests.support.programs import Terminal, finished
from tests.support.sessions import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Context, Json
    from tests.conftest import Couponctl, Role

SECTIONS = (
    "versions",
    "settings",
    "environment variables that are set",
    "terminal",
    "PostgreSQL",
    "couponctl doctor",
    "log",
)


def sections(text: str) -> dict[str, list[str]]:
    """The lines of each section, by its heading."""
    found: dict[str, list[str]] = {}
    for block in text.strip().split("\n\n"):
        heading, *lines = block.split("\n")
        found[heading] = lines
    return found


def facts(lines: list[str]) -> dict[str, str]:
    parted = (line.strip().partition("  ") for line in lines)
    return {name: value.strip() for name, _, value in parted}


def test_it_has_versions_settings_server_and_what_doctor_says(couponctl: Couponctl) -> None:
    report, doctor = couponctl("doctor", "--report"), couponctl("doctor")
    found = sections(report.out)

    assert (report.exit_code, report.err) == (0, "")
    assert tuple(found) == SECTIONS
    versions = facts(found["versions"])
    assert versions["couponctl"] == package.__version__
    assert {"Python", "system", "sqlalchemy", "asyncpg", "textual", "click"} <= versions.keys()
    asked = facts(found["PostgreSQL"])
    assert asked["lock_timeout"] == "5s  (client)"
    assert asked["fsync"].split()[0] in {"on", "off"}
    assert [line.strip() for line in found["couponctl doctor"]] == [
        line.strip() for line in doctor.out.splitlines()
    ]
    settings = facts(found["settings"])
    assert settings["database"].endswith("(from COUPONCTL_URL)")
    assert settings["url"].startswith("postgresql://")
    assert settings["sslmode"] == "prefer"
    assert settings["context"] == "none"


def test_as_json_it_is_doctors_document_and_more(answered: Json) -> None:
    report, doctor = answered("doctor", "--report"), answered("doctor")

    assert {name: report[name] for name in doctor} == doctor
    assert report["versions"]["couponctl"] == package.__version__
    assert {each["name"] for each in report["postgresql"]} >= {"server_version", "max_connections"}
    assert report["settings"]["pool size"] == "10"
    assert (report["log"], report["log_lines"]) == (None, [])


def test_settings_have_their_origins(
    couponctl: Couponctl, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    context('read_only = true\nenvironment = "production"\nlock_timeout = 2.5')
    monkeypatch.setenv("COUPONCTL_POOL_SIZE", "7")
    settings = facts(sections(couponctl("doctor", "--report").out)["settings"])

    assert settings["context"] == "shop  (from COUPONCTL_CONTEXT)"
    assert settings["pool size"] == "7  (from COUPONCTL_POOL_SIZE)"
    assert (settings["read only"], settings["environment"]) == ("yes", "production")
    assert settings["lock timeout"] == "2.5 s"
    named = facts(sections(couponctl("doctor", "--report", "--context", "shop").out)["settings"])
    assert named["context"] == "shop  (from --context)"


def test_of_variables_only_the_names_are_told(role: Role, plant: Callable[..., None], tmp_path: Path) -> None:
    plant("SPR1NG", 3, ("al1ce",))
    environment = {
        "COUPONCTL_URL": role(),
        "PGPASSWORD": f"{PASSWORD}-2",
        "PGOPTIONS": f"-c x.y={PASSWORD}",
        "COUPONCTL_SURPRISE": PASSWORD,
        "HOME": str(tmp_path),
    }
    for document in ([], ["--json"]):
        done = finished("doctor", "--report", *document, environment=environment)
        text = done.out.decode()

        assert done.exit_code == finished("doctor", environment=environment).exit_code != 0
        assert all(name in text for name in environment if name != "HOME")
        for secret in (PASSWORD, "SPR1NG", "al1ce", str(tmp_path)):
            assert secret not in text + done.err.decode()


@pytest.mark.parametrize(
    ("environment", "exit_code"),
    [
        ({"COUPONCTL_URL": f"postgresql://shop:{PASSWORD}@127.0.0.1:1/sale"}, 3),
        ({"COUPONCTL_URL": f"postgresql://shop:{PASSWORD}@x@y/sale"}, 2),
        ({"COUPONCTL_CONTEXT": "missing"}, 2),
    ],
    ids=["no server", "no url", "no context"],
)
def test_without_a_server_it_says_what_there_is(environment: dict[str, str], exit_code: int) -> None:
    done = finished("doctor", "--report", environment=environment)
    found = sections(done.out.decode())

    assert done.exit_code == exit_code
    assert found["PostgreSQL"] == ["  not reached"]
    assert any("not checked: see" in line for line in found["couponctl doctor"])
    assert PASSWORD not in done.out.decode()


def test_the_terminal_is_described(environment: dict[str, str]) -> None:
    wish = {"TERM": "xterm-kitty\x1b[2J", "COLORTERM": "truecolor", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    done = finished("doctor", "--report", environment=environment | wish)
    terminal = facts(sections(done.out.decode())["terminal"])

    assert terminal["TERM"] == r"xterm-kitty\u{1b}[2J"
    assert (terminal["COLORTERM"], terminal["NO_COLOR"]) == ("truecolor", "1")
    assert (terminal["LC_ALL"], terminal["terminals"], terminal["size"]) == ("C.UTF-8", "none", "unknown")
    assert terminal["encoding"] == "utf-8"


def log_lines(document: dict[str, Any]) -> list[str]:
    return [line.split(": ", 1)[1] for line in document["log_lines"]]


def test_the_end_of_the_log_is_in_it(couponctl: Couponctl, answered: Json, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"another program's line: {PASSWORD}\n")
    for _ in range(20):
        couponctl("db", "url", "--log-file", str(log))
    document = answered("doctor", "--report", "--log-file", str(log))

    assert document["log"] == str(log)
    assert len(document["log_lines"]) == 40
    assert "couponctl doctor begins" in log_lines(document)[-2]
    assert PASSWORD not in json.dumps(document)
    text = couponctl("doctor", "--report", "--log-file", str(log)).out
    assert len(sections(text)[f"the end of {log}"]) == 40


def test_without_a_log_of_its_own_it_has_that_of_the_console(
    answered: Json, state_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(state_directory.parent))
    log = state_directory / "couponctl" / "couponctl.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-11-29T10:00:00.000Z WARNING couponctl.tui.poller 7: Something fails.\n")
    document = answered("doctor", "--report")

    assert document["log"] == "~/state/couponctl/couponctl.log", "the path of a home tells whose it is"
    assert log_lines(document) == ["Something fails."]


def test_the_size_is_that_of_the_terminal_although_the_report_goes_to_a_file(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = f"{sys.executable} -m couponctl doctor --report > {tmp_path / 'report'}"
    opened = Terminal(environment=environment, program=("sh", "-c", command), size=(93, 31))
    opened.finish()
    opened.close()

    terminal = facts(sections((tmp_path / "report").read_text())["terminal"])
    assert (terminal["size"], terminal["terminals"]) == ("93 x 31", "stdin, stderr")
