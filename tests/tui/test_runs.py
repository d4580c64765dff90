"""Mode 4: the kept runs, two of them compared, one of them exported."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from couponctl.drills.reports.store import SavedRun
from couponctl.tui.screens.comparison import ComparisonScreen
from tests.support.tui.saved import keep, kept

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.tui.pictures import Console
    from tests.support.tui.scenes import Scene
    from tests.tui.conftest import Opened


@pytest.fixture
def current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


async def look_at_runs(console: Console) -> None:
    await console.press("4")
    await console.until(lambda: "3 runs" in console.picture)


async def test_times_are_local_and_days_of_earlier_runs_told(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)

        assert "12:57:00  flash-sale" in console.picture
        assert "26-11-19  flash-sale" in console.picture


async def test_a_run_that_was_kept_meanwhile_appears_by_itself(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press("down")
        keep(shop_with_runs, kept("00000004", minutes_ago=1, drill="deadlock"))
        await console.until(lambda: "4 runs" in console.picture)

        assert "deadlock" in console.picture
        assert "stampede 00000002" in console.picture, "the cursor stays on its run"


@pytest.mark.parametrize("order", [("m", "down", "d"), ("down", "m", "up", "d"), ("m", "down", "m", "d")])
async def test_two_runs_are_compared_the_earlier_one_first(
    shop_with_runs: Scene, opened: Opened, order: tuple[str, ...]
) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press(*order)

        assert isinstance(console.app.screen, ComparisonScreen)
        picture = console.picture
        assert picture.index("before  00000002") < picture.index("after   00000003")
        assert (
            shop_with_runs.dependencies.events.events[-1].command == "couponctl runs diff 00000002 00000003"
        )


async def test_one_run_cannot_be_compared(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press("m", "d")

        assert "mark one run with m" in console.picture
        assert len(console.app.screen_stack) == 1


async def test_of_three_marks_the_first_one_goes(shop_with_runs: Scene, opened: Opened) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press("m", "down", "m", "down", "m")

        assert [line[3] for line in console.lines[3:6]] == [" ", "●", "●"]
        await console.press("m")
        assert [line[3] for line in console.lines[3:6]] == [" ", "●", " "]


async def test_an_export_is_the_file_that_was_kept(
    shop_with_runs: Scene, opened: Opened, current_directory: Path
) -> None:
    exported = current_directory / "couponctl-run-00000003.json"
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press("o")

        run = SavedRun.from_json(json.loads(exported.read_bytes()))
        assert run.as_json() == shop_with_runs.dependencies.runs.find("00000003").as_json()
        assert "written to couponctl-run-00000003.json" in console.picture


async def test_an_export_that_cannot_be_written_says_why(
    shop_with_runs: Scene, opened: Opened, current_directory: Path
) -> None:
    # A directory of that name: permissions would not stop root.
    (current_directory / "couponctl-run-00000003.json").mkdir()
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        await console.press("o")

        assert "cannot be written: Is a" in console.picture


async def test_an_export_from_a_directory_that_is_gone_says_why(
    shop_with_runs: Scene, opened: Opened, current_directory: Path
) -> None:
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        shutil.rmtree(current_directory)
        await console.press("o")

        assert "cannot be written" in console.picture
        assert console.app.is_running


async def test_a_broken_file_is_counted_and_nothing_else(shop_with_runs: Scene, opened: Opened) -> None:
    broken = shop_with_runs.dependencies.runs.directory / "20261120T110000.000000Z-scale-00000009.json"
    broken.write_text("{")
    async with opened(shop_with_runs) as console:
        await look_at_runs(console)
        assert "3 runs, 1 file unreadable" in console.picture


async def test_unreadable_runs_are_not_blamed_on_the_database(shop: Scene, opened: Opened) -> None:
    shop.dependencies.runs.directory.write_text("a file where the directory should be")
    async with opened(shop, (250, 36)) as console:
        await console.press("4")
        await console.until(lambda: "cannot hold saved runs" in console.picture)

        assert "■ stale" not in console.lines[0]
