"""What ends a drill early, or all of them, is reported like any other end."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from couponctl import embedded
from couponctl.cli import drill
from couponctl.drills.catalog import DRILLS
from tests.support.programs import running
from tests.support.sessions import TRACES, Watch, run_script
from tests.support.vanishing import VANISHING
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Json
    from tests.conftest import Couponctl

NAMES = [each.name for each in DRILLS]
FIRST = b"\xe2\x9c\x94 PASS  flash-sale  "


def suites(path: Path) -> list[str | None]:
    root = ET.fromstring(path.read_text("utf-8"))  # noqa: S314 - couponctl wrote it
    return [suite.get("name") for suite in root.findall("testsuite")]


@pytest.fixture
def vanishing_coupons(database_url: str) -> None:
    """A coupon of a drill is deleted as its last unit is claimed."""
    run_script(database_url, VANISHING)


@pytest.fixture
def two_drills(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `drill all` runs; their names."""
    monkeypatch.setattr(drill, "DRILLS", DRILLS[:2])
    return NAMES[:2]


@pytest.mark.usefixtures("vanishing_coupons")
def test_a_drill_whose_coupon_vanishes_fails_with_a_report_and_is_kept(
    couponctl: Couponctl, answered: Json, tmp_path: Path
) -> None:
    answer = couponctl("drill", "flash-sale", "--yes", "--junit", str(tmp_path / "junit.xml"))

    assert answer.exit_code == 20
    assert answer.out.startswith("flash-sale  ✘ FAIL\n")
    assert 'There is no coupon "FLASH".' in answer.out
    assert suites(tmp_path / "junit.xml") == ["flash-sale"]
    assert [run["verdict"] for run in answered("runs", "list")["runs"]] == ["FAIL"]


@pytest.mark.usefixtures("vanishing_coupons")
def test_all_drills_go_on_after_one_whose_coupon_vanished(
    couponctl: Couponctl, answered: Json, two_drills: list[str], tmp_path: Path
) -> None:
    answer = couponctl("drill", "all", "--yes", "--json", "--junit", str(tmp_path / "junit.xml"))

    document = json.loads(answer.out)
    assert (answer.exit_code, document["verdict"], document["not_ended"]) == (20, "FAIL", [])
    assert [report["drill"] for report in document["reports"]] == two_drills
    assert [line.split()[:3] for line in answer.err.splitlines()] == [
        ["✘", "FAIL", two_drills[0]],
        ["✔", "PASS", two_drills[1]],
    ]
    assert suites(tmp_path / "junit.xml") == two_drills
    assert [run["drill"] for run in reversed(answered("runs", "list")["runs"])] == two_drills


def test_drills_that_ended_before_ctrl_c_are_reported_and_kept(
    watch: Watch, environment: dict[str, str], answered: Json, tmp_path: Path
) -> None:
    junit = tmp_path / "junit.xml"
    command = ("drill", "all", "--yes", "--json", "--junit", str(junit))
    with running(*command, environment=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(FIRST)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    document = json.loads(out)
    ended = [report["drill"] for report in document["reports"]]
    assert process.returncode == 130, err
    assert err.endswith(b"couponctl: interrupted\n")
    assert document["verdict"] == "INCONCLUSIVE"
    assert (ended, document["not_ended"]) == (NAMES[: len(ended)], NAMES[len(ended) :])
    assert document["not_ended"]
    assert suites(junit) == ended
    assert [run["drill"] for run in reversed(answered("runs", "list")["runs"])] == ended
    watch.until(TRACES, found=False)


def test_drills_that_ended_before_the_server_was_gone_are_reported(
    private_base: Path, tmp_path: Path
) -> None:
    embedded.start(private_base)
    junit = tmp_path / "junit.xml"
    environment = {"COUPONCTL_DATA_DIR": str(private_base)}
    with running("drill", "all", "--json", "--junit", str(junit), environment=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(FIRST)
        os.kill(embedded.status(private_base).pid or 0, signal.SIGKILL)
        out, err = process.communicate(timeout=DEADLINE)

    document = json.loads(out)
    ended = [report["drill"] for report in document["reports"]]
    assert process.returncode == 3, err
    assert document["error"]["code"] == "unavailable"
    assert document["verdict"] == "INCONCLUSIVE"
    assert (ended, document["not_ended"]) == (NAMES[: len(ended)], NAMES[len(ended) :])
    assert suites(junit) == ended
