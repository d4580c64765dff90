"""Kept runs: whole, private, in order, bounded, and found again."""

from __future__ import annotations

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from couponctl import __version__
from couponctl.drills.catalog import DRILLS
from couponctl.drills.check import equals
from couponctl.drills.drill import Verdict
from couponctl.drills.reports.store import (
    Listing,
    RunStore,
    SavedRun,
    default_directory,
    origin_words,
    run_table,
)
from couponctl.errors import BadSettings, Invalid, RunNotFound
from couponctl.models import Outcome
from tests.support.reports import entry, report

if TYPE_CHECKING:
    from couponctl.drills.reports.report import Report

WON = entry("alice", Outcome.CLAIMED, 5.0)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "state" / "runs")


def made(run_id: str, **more: Any) -> Report:
    return report(WON, checks=(equals("well", "all is well", 1, 1),), run_id=run_id, **more)


def keep(store: RunStore, *run_ids: str, **more: Any) -> list[SavedRun]:
    return [store.save(made(run_id, **more), made_by="cli") for run_id in run_ids]


def kept_ids(store: RunStore, **given: Any) -> list[str]:
    return [run.report.run_id for run in store.list(**given).runs]


def names(store: RunStore) -> set[str]:
    return {path.name for path in store.directory.iterdir()}


def file_of(store: RunStore, run: SavedRun) -> Path:
    return store.directory / run.file_name


def test_a_run_comes_back_as_it_was_kept(store: RunStore) -> None:
    began = datetime.now(UTC)
    (run,) = keep(store, "0a")

    (again,) = store.list().runs
    assert again.as_json() == run.as_json()
    assert (again.made_by, again.couponctl) == ("cli", __version__)
    assert re.fullmatch(r"3\.\d+\.\d+\S*", again.python)
    assert began <= again.at <= datetime.now(UTC)
    assert again.report.verdict is Verdict.PASS


def test_the_file_is_one_document_with_a_name_that_says_what_it_is(store: RunStore) -> None:
    (run,) = keep(store, "0a")

    (path,) = store.directory.iterdir()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-flash-sale-0a\.json", path.name)
    assert path.name.startswith(f"{run.at:%Y%m%dT%H%M%S}")
    document = json.loads(path.read_bytes())
    assert list(document) == ["kept", "at", "made_by", "python", "couponctl", "report"]
    assert document["kept"] == 1
    assert document["report"] == run.report.as_json()


def test_nobody_else_can_read_it(store: RunStore) -> None:
    before = os.umask(0)
    try:
        (run,) = keep(store, "0a")
    finally:
        os.umask(before)

    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(store, run).stat().st_mode) == 0o600


def test_the_newest_come_first_and_older_ones_can_be_left_out(store: RunStore) -> None:
    keep(store, "0a", "ff", "0b")

    assert kept_ids(store) == ["0b", "ff", "0a"]
    assert kept_ids(store, limit=2) == ["0b", "ff"]
    assert [store.list(limit=limit).more for limit in (2, 3, 4)] == [True, False, False]


def test_runs_of_one_drill_can_be_listed(store: RunStore) -> None:
    keep(store, "0a", "0b", drill="scale")
    keep(store, "0c")

    assert kept_ids(store, drill="scale", limit=2) == ["0b", "0a"]
    assert not store.list(drill="scale", limit=2).more
    assert kept_ids(store, drill="stampede") == []


def test_the_runs_of_every_drill_are_found_again(store: RunStore) -> None:
    for drill in DRILLS:
        keep(store, "0a", drill=drill.name)

    assert {run.report.drill for run in store.list().runs} == {drill.name for drill in DRILLS}


def test_where_nothing_was_kept_nothing_is_listed_or_made(store: RunStore) -> None:
    assert store.list() == Listing((), 0, more=False)
    assert store.run_ids() == ()
    assert not store.directory.exists()


def test_the_oldest_go_when_there_are_too_many(store: RunStore) -> None:
    keep(store, "0a")
    keep(RunStore(store.directory, most_runs=3), "0b", "0c", "0d")

    assert kept_ids(store) == ["0d", "0c", "0b"]
    assert len(names(store)) == 3


def test_the_oldest_go_when_they_take_too_much(store: RunStore) -> None:
    first, second = keep(store, "0a", "0b")
    size = file_of(store, first).stat().st_size
    bounded = RunStore(store.directory, most_bytes=size * 2 + size // 2)

    keep(bounded, "0c")

    assert kept_ids(store) == ["0c", "0b"]
    assert file_of(store, second).stat().st_size == size


def test_a_broken_run_goes_with_its_age_too_and_a_file_of_another_name_never(store: RunStore) -> None:
    keep(store, "0a")
    ours = {"20200101T000000.000000Z-scale-0b.json"}
    others = {"notes.txt", "20200101T000000.000000Z-scale-XY.json", "20200101.json", ".DS_Store"}
    for name in ours | others:
        (store.directory / name).write_text("{")

    keep(RunStore(store.directory, most_runs=2), "0d")

    assert others < names(store)
    assert not ours & names(store)
    assert kept_ids(store) == ["0d", "0a"]


def test_what_a_killed_writer_left_goes_and_what_is_being_written_stays(store: RunStore) -> None:
    keep(store, "0a")
    left, current = (
        store.directory / f"20200101T000000.000000Z-scale-{run_id}.new" for run_id in ("0b", "0c")
    )
    left.touch()
    os.utime(left, (0, 0))
    current.touch()

    keep(RunStore(store.directory, most_runs=1), "0d")

    assert not left.exists()
    assert current.exists()
    assert store.run_ids() == ("0d",)


def test_what_cannot_be_removed_does_not_cost_the_run(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, "0a", "0b")
    remove = Path.unlink

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.stem.endswith("0b") and path.exists():
            raise PermissionError
        remove(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    keep(RunStore(store.directory, most_runs=1), "0c")

    assert kept_ids(store) == ["0c", "0b"]


def test_many_keep_and_prune_at_once(store: RunStore) -> None:
    bounded = RunStore(store.directory, most_runs=3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: keep(bounded, f"{number:08x}"), range(160)))

    listing = store.list()
    assert (len(listing.runs), listing.skipped) == (3, 0)
    assert len(names(store)) == 3


@pytest.mark.parametrize(
    ("where", "failing"), [("couponctl.drills.reports.store", "write_private"), ("pathlib.Path", "replace")]
)
def test_a_run_that_cannot_be_written_leaves_no_half_of_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, where: str, failing: str
) -> None:
    keep(store, "0a")

    def full(path: Path, *_content: Any) -> None:
        path.write_text('{"kept": 1')
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"{where}.{failing}", full)
    with pytest.raises(BadSettings, match="No space left on device"):
        keep(store, "0b")

    assert len(names(store)) == 1
    assert kept_ids(store) == ["0a"]


@pytest.mark.parametrize("use", [lambda store: keep(store, "0a"), RunStore.list, RunStore.run_ids])
def test_a_place_of_no_use_is_said_in_a_sentence(tmp_path: Path, use: Any) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadSettings, match=r"cannot hold saved runs: .*Set XDG_STATE_HOME"):
        use(RunStore(tmp_path / "file"))


def changed(**change: Any) -> Any:
    return lambda document: json.dumps(document | change)


BROKEN = {
    "empty": lambda _document: "",
    "cut off": lambda document: json.dumps(document)[:-1],
    "no text": lambda _document: b"\xff\xfe\x00",
    "endless": lambda _document: "[" * 100_000,
    "no object": lambda document: json.dumps([document]),
    "of a newer format": changed(kept=2),
    "of no format": changed(kept=None),
    "of no time": changed(at="yesterday"),
    "of another time": changed(at="2020-01-01T00:00:00+00:00"),
    "before all time": changed(at="0001-01-01T00:00:00+23:00"),
    "of nobody": changed(made_by=None),
    "without a report": changed(report=None),
    "with half a report": changed(report={"schema": 1}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_no_run_is_skipped_and_counted(store: RunStore, how: str) -> None:
    first, second, _third = keep(store, "0a", "0b", "0c")
    content = BROKEN[how](second.as_json())
    file_of(store, second).write_bytes(content if isinstance(content, bytes) else content.encode())

    listing = store.list()

    assert [run.report.run_id for run in listing.runs] == ["0c", "0a"]
    assert listing.skipped == 1
    assert store.find("last~1").as_json() == first.as_json()
    with pytest.raises(Invalid, match=r"run 0b: .* is broken, or of another version of couponctl"):
        store.find("0b")


@pytest.mark.parametrize("name", ["scale-0a", "flash-sale-0b"])
def test_a_run_under_the_name_of_another_is_none(store: RunStore, name: str) -> None:
    (run,) = keep(store, "0a")
    path = file_of(store, run)
    path.rename(path.with_name(path.name.replace("flash-sale-0a", name)))

    assert store.list().skipped == 1


def test_a_directory_or_a_pipe_under_the_name_of_a_run_is_none(store: RunStore) -> None:
    keep(store, "0a")
    (store.directory / "20990101T000000.000000Z-scale-0b.json").mkdir()
    os.mkfifo(store.directory / "20990101T000000.000000Z-scale-0c.json")

    assert kept_ids(store) == ["0a"]


def test_a_run_is_found_by_the_beginning_of_its_id(store: RunStore) -> None:
    keep(store, "0a1", "0a2", "0b1")

    assert store.find("0b").report.run_id == "0b1"
    assert store.find("0a2").report.run_id == "0a2"


def test_a_run_is_found_by_its_age(store: RunStore) -> None:
    keep(store, "0a", "0b", "0c")

    assert [store.find(name).report.run_id for name in ("last", "last~0", "last~1", "last~2")] == [
        "0c",
        "0c",
        "0b",
        "0a",
    ]


@pytest.mark.parametrize(
    "name", ["ff", "last~3", "last~", "last~-1", "last~1~1", "LAST", "a", "\x1b", "last~9999999"]
)
def test_what_is_not_there_is_not_found(store: RunStore, name: str) -> None:
    keep(store, "0a", "0b", "0c")

    with pytest.raises(RunNotFound) as caught:
        store.find(name)

    assert caught.value.name == name


def test_a_beginning_of_several_is_refused_with_their_ids(store: RunStore) -> None:
    keep(store, "0a1", "0a2", "0b1")

    with pytest.raises(Invalid, match='run "0a": 2 runs begin like that: 0a2, 0a1'):
        store.find("0a")


def test_ids_are_known_without_a_look_into_the_files(store: RunStore) -> None:
    (first, _) = keep(store, "0a", "0b")
    file_of(store, first).write_text("broken")

    assert store.run_ids() == ("0b", "0a")


def test_a_table_shows_who_heard_what_how_fast(store: RunStore) -> None:
    keep(store, "0a")
    refused = report(
        *(entry(f"u{n}", Outcome.SOLD_OUT, 250.0) for n in range(1200)), run_id="0b", drill="scale"
    )
    store.save(refused, made_by="console")
    store.save(report(run_id="0c", claim_phase=0.0), made_by="cli")

    table = run_table(store.list().runs)

    headings = ["FINISHED", "RUN", "DRILL", "VERDICT", "ATTEMPTS", "P50", "P99", "OF", "CLAIMS/S"]
    assert [column.heading for column in table.columns] == headings
    assert [row[1:] for row in table.rows] == [
        ("0c", "flash-sale", "? INCONCLUSIVE", "0", "", "", "", ""),
        ("0b", "scale", "✔ PASS", "1,200", "250 ms", "250 ms", "sold out", "0"),
        ("0a", "flash-sale", "✔ PASS", "1", "5.0 ms", "5.0 ms", "claimed", "0"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", row[0]) for row in table.rows)


def test_the_origin_of_a_run_is_said_safely(store: RunStore) -> None:
    hostile = made("0a", server={"where": "a\x1b[2J\u202eb"})
    run = SavedRun(datetime(2026, 11, 20, 21, 3, 11, tzinfo=UTC), "console", "3.11.7", "0.1.0", hostile)

    assert origin_words(run) == (
        "run 0a, finished 2026-11-20 21:03:11Z by the console (couponctl 0.1.0, Python 3.11.7), "
        r"on a\u{1b}[2J\u{202e}b"
    )


def test_runs_live_in_the_users_state_directory(state_directory: Path) -> None:
    assert default_directory() == state_directory / "couponctl" / "runs"


def test_without_a_home_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_name: str) -> Path:
        raise RuntimeError

    monkeypatch.setattr("platformdirs.user_state_path", homeless)

    with pytest.raises(BadSettings, match=r"no home directory .*Set XDG_STATE_HOME"):
        default_directory()
