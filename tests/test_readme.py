"""The README keeps up: every command, drill, exit code and make target stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from couponctl.cli import cli
from couponctl.cli.exit_codes import ExitCode
from couponctl.drills.catalog import DRILLS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


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


def test_every_module_stands_in_the_diagram() -> None:
    diagram = README.partition("## How it is built")[2]
    for path in (ROOT / "couponctl").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            name = path.name.removesuffix(".py")
            assert name.startswith("__") or re.search(rf"\b{name}\b", diagram), name


def test_make_targets_are_those_that_the_documents_name() -> None:
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake (\w+)", README)) - {"help"}
    workflow = set(re.findall(r"run: make (\w+)", (ROOT / ".github/workflows/ci.yml").read_text("utf-8")))

    assert named | workflow <= targets
    assert workflow == {"check", "test", "lowest", "drills"}
