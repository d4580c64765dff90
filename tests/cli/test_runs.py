"""`couponctl runs`, on runs of real drills and on files that somebody has tampered with."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from couponctl.cli import drill
from couponctl.drills.catalog import DRILLS
from couponctl.drills.engine import run_drill
from couponctl.errors import Unavailable
from tests.cli.test_commands import MOMENT
from tests.cli.test_completion import completed
from tests.cli.test_hostile_text import INVISIBLE, assert_harmless
from tests.support.programs import finished
from tests.support.sessions import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from couponctl.drills.reports.report import Report
    from tests.cli.conftest import Json
    from tests.conftest import Answer, Couponctl, Role

SALE = ("drill", "flash-sale", "--n", "6", "--stock", "2", "--pool-size", "3", "--yes")
FAILING = ("drill", "pool-exhaustion", "--n", "2", "--wait", "5", "--timeout", "0.2", "--yes")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"

NOT_KEPT = "couponctl: this run was not saved: "


@pytest.fixture
def directory(state_directory: Path) -> Path:
    return state_directory / "couponctl" / "runs"


@pytest.fixture
def sold(couponctl: Couponctl) -> Callable[..., str]:
    """Runs a small sale; its run id."""
    return lambda *options: json.loads(couponctl(*SALE, *options, "--json").out)["run_id"]


def said_once(answer: Answer) -> str:
    assert answer.err.count("\n") == 1
    return answer.err


def test_every_drill_is_kept_whatever_its_verdict(couponctl: Couponctl, answered: Json) -> None:
    assert couponctl(*SALE, "--slo", "claimed.n=3").exit_code == 21
    assert couponctl(*FAILING).exit_code == 20

    runs = answered("runs", "list")["runs"]

    assert [(run["drill"], run["verdict"], run["attempts"]) for run in runs] == [
        ("pool-exhaustion", "FAIL", 2),
        ("flash-sale", "PASS", 6),
    ]
    assert [run["made_by"] for run in runs] == ["cli", "cli"]
    assert answered("runs", "show", "last~1")["report"]["slos"][0]["met"] is False


def test_what_is_kept_is_the_report(couponctl: Couponctl, answered: Json, directory: Path) -> None:
    report = answered(*SALE)
    (path,) = directory.iterdir()

    kept = answered("runs", "show", report["run_id"])

    assert kept["report"] == report
    assert kept == json.loads(path.read_text())


def test_a_kept_run_is_shown_in_the_words_of_its_drill(couponctl: Couponctl) -> None:
    fresh = couponctl(*SALE).out.splitlines()

    *shown, origin = couponctl("runs", "show", "last").out.splitlines()

    assert shown == fresh
    assert re.match(
        r"  run [0-9a-f]{8}, finished \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ by the cli \(couponctl ", origin
    )


def test_a_dry_run_keeps_nothing(couponctl: Couponctl, directory: Path) -> None:
    couponctl(*SALE, "--dry-run")
    couponctl("drill", "list")

    assert not directory.exists()


def test_no_password_is_kept(
    couponctl: Couponctl, role: Role, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", role("SUPERUSER"))

    assert couponctl(*SALE).exit_code == 0

    (path,) = directory.iterdir()
    assert "couponctl_role_" in path.read_text()
    assert PASSWORD not in path.read_text()


@pytest.fixture
def three_drills(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `drill all` runs; their names."""
    monkeypatch.setattr(drill, "DRILLS", DRILLS[:3])
    return [each.name for each in DRILLS[:3]]


def test_the_runs_of_all_drills_are_kept_one_by_one(answered: Json, three_drills: list[str]) -> None:
    reports = answered("drill", "all", "--yes")["reports"]

    runs = answered("runs", "list")["runs"]

    assert [run["drill"] for run in reversed(runs)] == three_drills
    assert [run["run_id"] for run in reversed(runs)] == [report["run_id"] for report in reports]


def test_what_ended_before_the_server_went_away_is_kept(
    couponctl: Couponctl, answered: Json, three_drills: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def until_the_last(which: Any, *rest: Any, **more: Any) -> Report:
        if which.drill.name == three_drills[-1]:
            raise Unavailable
        return await run_drill(which, *rest, **more)

    monkeypatch.setattr(drill, "run_drill", until_the_last)
    assert couponctl("drill", "all", "--yes").exit_code == 3

    assert [run["drill"] for run in reversed(answered("runs", "list")["runs"])] == three_drills[:-1]


@pytest.mark.parametrize(("command", "exit_code"), [(SALE, 0), (FAILING, 20)])
def test_a_run_that_cannot_be_kept_ends_as_it_would_have(
    couponctl: Couponctl, state_directory: Path, command: tuple[str, ...], exit_code: int
) -> None:
    state_directory.touch()

    answer = couponctl(*command)

    assert answer.exit_code == exit_code
    assert answer.out.splitlines()[0].startswith(command[1])
    assert said_once(answer).startswith(
        f"{NOT_KEPT}{state_directory}/couponctl/runs cannot hold saved runs: "
    )


def test_of_many_runs_that_cannot_be_kept_it_is_said_once(
    couponctl: Couponctl, state_directory: Path, three_drills: list[str]
) -> None:
    state_directory.touch()

    answer = couponctl("drill", "all", "--yes", "--json")

    assert answer.exit_code == 0
    assert len(json.loads(answer.out)["reports"]) == len(three_drills)
    assert [line.startswith(NOT_KEPT) for line in answer.err.splitlines()].count(True) == 1


def test_the_list_is_a_table(couponctl: Couponctl, sold: Callable[..., str]) -> None:
    first, second = sold(), sold("--n", "7")

    answer = couponctl("runs", "list")

    head, newest, oldest = answer.out.splitlines()
    assert head.split() == ["FINISHED", "RUN", "DRILL", "VERDICT", "ATTEMPTS", "P50", "P99", "OF", "CLAIMS/S"]
    time = r"[\d.,]+ ms"
    row = rf"{MOMENT}  (\w+)  flash-sale  ✔ PASS +(\d+) +{time} +{time}  claimed +[\d,]+"
    assert [re.findall(row, line) for line in (newest, oldest)] == [[(second, "7")], [(first, "6")]]
    assert (answer.exit_code, answer.err) == (0, "")


def test_the_list_can_be_narrowed(couponctl: Couponctl, sold: Callable[..., str], answered: Json) -> None:
    first, second = sold(), sold()
    couponctl(*FAILING)

    one = couponctl("runs", "list", "--drill", "flash-sale", "--limit", "1")

    assert [line.split()[2] for line in one.out.splitlines()[1:]] == [second]
    assert one.err == "more: couponctl runs list --drill flash-sale --limit 10\n"
    document = answered("runs", "list", "--drill", "flash-sale")
    assert [run["run_id"] for run in document["runs"]] == [second, first]
    assert (document["skipped"], document["more"]) == (0, False)


def test_the_list_answers_with_what_the_report_says(answered: Json) -> None:
    report = answered(*SALE)

    (run,) = answered("runs", "list")["runs"]

    assert list(run) == [
        "run_id",
        "at",
        "made_by",
        "drill",
        "verdict",
        "attempts",
        "latency_of",
        "p50_ms",
        "p99_ms",
        "claims_per_s",
    ]
    claimed = report["latency_ms"]["claimed"]
    assert (run["latency_of"], run["p50_ms"], run["p99_ms"]) == ("claimed", claimed["p50"], claimed["p99"])
    assert run["claims_per_s"] == pytest.approx(2 / report["claim_phase_ms"] * 1000, rel=1e-3)


def test_where_nothing_is_kept_the_way_out_is_said(couponctl: Couponctl, answered: Json) -> None:
    assert couponctl("runs", "list") == (
        0,
        "",
        "there are no saved runs yet: `couponctl drill scale` makes one\n",
    )
    assert answered("runs", "list") == {"runs": [], "skipped": 0, "more": False}
    assert couponctl("runs", "list", "--drill", "nope") == (
        0,
        "",
        'there is no saved run of "nope"; `couponctl drill list` names the drills\n',
    )


@pytest.mark.parametrize("arguments", [("show", "last"), ("show", "ff"), ("diff",), ("diff", "ff", "last")])
def test_a_run_that_is_not_there_is_an_error_of_its_own(
    couponctl: Couponctl, arguments: tuple[str, ...]
) -> None:
    answer = couponctl("runs", *arguments)
    document = json.loads(couponctl("runs", *arguments, "--json").out)

    assert (answer.exit_code, answer.out) == (12, "")
    assert re.match(
        r'couponctl: There is no saved run "(last|ff|last~1)"\. `couponctl runs list`', answer.err
    )
    assert document["error"]["code"] == "run_not_found"


@pytest.mark.parametrize("arguments", [("show",), ("diff", "last", "last", "last"), ("list", "--limit", "0")])
def test_bad_input_is_a_usage_error(couponctl: Couponctl, arguments: tuple[str, ...]) -> None:
    assert couponctl("runs", *arguments).exit_code == 2


def test_the_last_two_runs_are_compared_unless_others_are_named(
    sold: Callable[..., str], answered: Json
) -> None:
    first, second, third = sold(), sold("--strategy", "transaction"), sold("--n", "9")

    def compared(*names: str) -> tuple[str, str]:
        document = answered("runs", "diff", *names)
        return document["before"], document["after"]

    assert compared() == (second, third)
    assert compared(first) == (first, third)
    assert compared(first, "last~1") == (first, second)
    rows = {row["what"]: row for row in answered("runs", "diff", first, third)["rows"]}
    assert (rows["n"]["before"], rows["n"]["after"], rows["n"]["change_percent"]) == (6, 9, 50.0)
    assert (rows["sold_out"]["before"], rows["sold_out"]["after"]) == (4, 7)
    assert "strategy" not in rows


def test_a_comparison_is_a_table(couponctl: Couponctl, sold: Callable[..., str]) -> None:
    first = sold()
    couponctl(*FAILING)

    answer = couponctl("runs", "diff")

    lines = [line.split() for line in answer.out.splitlines()]
    assert ["before", first, "flash-sale", "✔", "PASS"] in lines
    assert ["claimed", "2", "0", "-100.0", "%"] in lines
    assert "two different drills" in answer.out
    assert (answer.exit_code, answer.err) == (0, "")


def test_kept_runs_want_no_database(couponctl: Couponctl, sold: Callable[..., str]) -> None:
    sold()

    for command in (("list",), ("show", "last"), ("diff", "last")):
        assert couponctl("runs", *command, "--url", NOWHERE).exit_code == 0


def tampered(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the newest report behind couponctl's back."""
    path = max(directory.iterdir())
    document = json.loads(path.read_text())
    change(document["report"])
    path.write_text(json.dumps(document))


def test_a_broken_file_is_skipped_and_said(
    couponctl: Couponctl, sold: Callable[..., str], directory: Path
) -> None:
    first, second = sold(), sold()
    tampered(directory, lambda report: report.update(checks="all held"))

    listed, shown = couponctl("runs", "list"), couponctl("runs", "show", second)

    assert [line.split()[2] for line in listed.out.splitlines()[1:]] == [first]
    assert listed.err == "1 file skipped: broken, or of another version of couponctl\n"
    assert (shown.exit_code, shown.out) == (2, "")
    assert said_once(shown).startswith(f"couponctl: run {second}: {directory}")


def test_where_all_is_broken_it_is_not_said_that_there_is_nothing(
    couponctl: Couponctl, sold: Callable[..., str], directory: Path
) -> None:
    sold()
    tampered(directory, dict.clear)

    assert couponctl("runs", "list") == (
        0,
        "",
        "1 file skipped: broken, or of another version of couponctl\n",
    )


def test_a_verdict_that_somebody_wrote_into_the_file_is_not_believed(
    couponctl: Couponctl, answered: Json, directory: Path
) -> None:
    couponctl(*FAILING)
    tampered(directory, lambda report: report.update(verdict="PASS"))

    assert answered("runs", "list")["runs"][0]["verdict"] == "FAIL"
    assert "✘ FAIL" in couponctl("runs", "show", "last").out


@pytest.mark.parametrize("tone", [[], ["--json"]])
def test_hostile_text_in_a_kept_run_is_spelled_out(
    couponctl: Couponctl, sold: Callable[..., str], directory: Path, tone: list[str]
) -> None:
    text = "".join(INVISIBLE.values())

    def poison(report: dict[str, Any]) -> None:
        report["checks"] = [
            {"promise": text, "expected": text, "observed": [text, {text: text}], "held": False}
        ]
        report["server"] = {"where": text, "version": text}
        report["params"] = {text: 1}
        report["phases_ms"] = {"claimed": {text: {"n": 1, "mean": 1.0, "p50": 1.0, "p99": 1.0}}}
        report |= dict.fromkeys(("strategy", "unfinished", "left_behind"), text)

    sold()
    sold()
    tampered(directory, poison)
    for command in (("list",), ("show", "last"), ("diff",)):
        answer = couponctl("runs", *command, *tone)

        assert answer.exit_code == 0
        assert_harmless(answer.out.encode(errors="surrogatepass"))
        assert answer.err == ""
    assert (r"\u001b" if tone else r"\u{1b}") in couponctl("runs", "show", "last", *tone).out


def test_a_hostile_name_is_spelled_out(couponctl: Couponctl) -> None:
    for name in INVISIBLE.values():
        for command in (("show", "--", name), ("list", "--drill", name)):
            assert_harmless(couponctl("runs", *command).err.encode(errors="surrogatepass"))


def test_runs_are_offered_after_a_tab(sold: Callable[..., str]) -> None:
    first, second = sold(), sold()

    def offered(line: str, word: str) -> list[str]:
        answer = completed(line, word, NOWHERE)
        assert (answer.exit_code, answer.err) == (0, b"")
        return [each.partition(",")[2] for each in answer.out.decode().split()]

    assert offered("runs ", "") == ["diff", "list", "show"]
    assert offered("runs show ", "") == ["last", second, first]
    assert offered(f"runs diff {first} ", second[:7]) == [second]


def test_a_tab_where_no_runs_can_be_is_quiet(state_directory: Path) -> None:
    state_directory.touch()

    answer = completed("runs show ", "", NOWHERE)

    assert (answer.exit_code, answer.out, answer.err) == (0, b"\n", b"")


def test_another_process_keeps_in_the_same_place(
    database_url: str, couponctl: Couponctl, answered: Json
) -> None:
    answer = finished(*SALE, environment={"COUPONCTL_URL": database_url})

    assert answer.exit_code == 0
    assert len(answered("runs", "list")["runs"]) == 1
