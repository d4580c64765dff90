"""The README keeps up: every command, drill, exit code and make target stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from couponctl.cli import cli
from couponctl.cli.exit_codes import ExitCode
from couponctl.drills.catalog import DRILLS
from tests.test_floors import ROOMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / ".github" / "ARCHITECTURE.md").read_text("utf-8")


def commands() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found.append((name, command))
    return found


@pytest.mark.parametrize(("name", "command"), commands(), ids=str)
def test_every_command_stands_in_the_table_and_has_help(name: str, command: click.Command) -> None:
    assert re.search(rf"^\| `couponctl {name}\b", README, re.MULTILINE)
    assert command.help


@pytest.mark.parametrize("group", [c for _, c in commands() if isinstance(c, click.Group)], ids=str)
def test_every_subcommand_is_named(group: click.Group) -> None:
    for name in group.commands:
        assert f"`{name}`" in README, f"couponctl {group.name} {name}"


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_drill_stands_in_the_table_with_its_promise(drill: object) -> None:
    row = f"| `{drill.name}` | {drill.title} | {drill.promise} |"  # type: ignore[attr-defined]

    assert row in README


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    if code is not ExitCode.BROKEN_PIPE:  # what a shell shows of any program whose reader has gone
        assert re.search(rf"\| ?(130, )?{code.value}\b", README)


def drawn() -> list[str]:
    """The limits of the map, from the top."""
    drawing = ARCHITECTURE.split("```")[1]
    first_words = re.findall(r"^ {3}(\w[\w/, ]*?)(?: {2,}|/ | (?=what))", drawing, re.MULTILINE)
    return [name.strip("/ ") for words in first_words for name in words.split(",")]


def test_the_map_shows_every_room_and_in_the_order_of_the_floors() -> None:
    floors = {name: level for level, floor in enumerate(ROOMS) for name in floor if name != "__main__"}

    assert sorted(drawn()) == sorted(floors)
    levels = [floors[name] for name in drawn()]
    assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize(
    ("document", "base"), [(README, ROOT), (ARCHITECTURE, ROOT / ".github")], ids=["README", "ARCHITECTURE"]
)
def test_files_that_the_documents_link_to_are_there(document: str, base: Path) -> None:
    for path in re.findall(r"\]\((?!http)([^)#]+)", document):
        assert (base / path).exists(), path


def test_modules_that_the_architecture_names_are_there() -> None:
    for path in re.findall(r"`((?:\w+/)+\w*(?:\.py)?)`", ARCHITECTURE):
        assert any((base / path).exists() for base in (ROOT, ROOT / "couponctl")), path


def test_make_targets_are_those_that_the_documents_name() -> None:
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake (\w+)", README)) - {"help"}
    workflow = set(re.findall(r"run: make (\w+)", (ROOT / ".github/workflows/ci.yml").read_text("utf-8")))

    assert named | workflow <= targets
    assert workflow == {"check", "test", "lowest", "drills"}
