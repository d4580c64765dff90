"""The pages keep up: every command, drill, strategy, mode, exit code and make target; every link leads on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from couponctl.cli import cli
from couponctl.cli.exit_codes import ExitCode
from couponctl.drills.catalog import DRILLS
from couponctl.ledger.claims import STRATEGIES, Strategy
from couponctl.tui.modes import MODES
from tests.support.links import is_dead, links_of, repository_of
from tests.test_floors import ROOMS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / ".github" / "docs"
PLACES = ("*.md", ".github/**/*.md", "couponctl/**/*.md", "tests/**/*.md")
PAGES = sorted(path for place in PLACES for path in ROOT.glob(place))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / ".github" / "ARCHITECTURE.md").read_text("utf-8")
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


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
    document = README + page("drills.md") if group.name == "drill" else README
    for name in group.commands:
        assert f"`{name}`" in document, f"couponctl {group.name} {name}"


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
def test_every_drill_stands_in_the_table_with_its_promise(drill: object) -> None:
    row = f"| `{drill.name}` | {drill.title} | {drill.promise} |"  # type: ignore[attr-defined]

    assert row in page("drills.md")


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_every_strategy_stands_in_the_tables_of_the_users_and_of_the_architecture(strategy: Strategy) -> None:
    for document in (page("claims.md"), ARCHITECTURE):
        assert re.search(rf"^\| `{strategy.name}` \|", document, re.MULTILINE)


def test_every_mode_stands_in_the_table_with_its_key() -> None:
    for key, mode in enumerate(MODES, start=1):
        assert f"| `{key}` {mode.capitalize()} |" in page("console.md")


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name)
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    if code is not ExitCode.BROKEN_PIPE:  # what a shell shows of any program whose reader has gone
        assert re.search(rf"\| ?(130, )?{code.value}\b", page("exit-codes.md"))


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


@each_page
def test_every_link_leads_to_a_file_or_a_heading(path: Path) -> None:
    repository = repository_of(PROJECT)
    links = links_of(path.read_text("utf-8"))

    assert [link for link in links if is_dead(link, path, ROOT, repository)] == []


def test_links_of_the_readme_work_on_pypi_as_soon_as_the_repository_has_an_address() -> None:
    repository = repository_of(PROJECT)
    outside = [link for link in links_of(README) if not link.startswith(("https://", "#"))]

    assert not (repository and outside), f"{outside} should begin with {repository}/blob/main/"


@pytest.mark.parametrize("name", [path.name for path in DOCS.glob("*.md")])
def test_the_readme_leads_to_every_page_for_users(name: str) -> None:
    assert any(link.endswith(f".github/docs/{name}") for link in links_of(README))


def test_contributing_is_short() -> None:
    assert len(CONTRIBUTING.splitlines()) <= 120


@pytest.mark.parametrize("document", [ARCHITECTURE, CONTRIBUTING], ids=["ARCHITECTURE", "CONTRIBUTING"])
def test_modules_that_contributors_are_told_of_are_there(document: str) -> None:
    for path in re.findall(r"`((?:\w+/)+\w*(?:\.py)?)`", document):
        assert any((base / path).exists() for base in (ROOT, ROOT / "couponctl")), path


def make_targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@each_page
def test_make_targets_are_those_that_the_pages_name(path: Path) -> None:
    named = re.findall(r"(?:`|^)make ((?:[a-z-]+ ?)+)", path.read_text("utf-8"), re.MULTILINE)

    assert {target for each in named for target in each.split()} <= make_targets()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_nothing_but_make(workflow: Path) -> None:
    commands = re.findall(r"\brun: (.*)", workflow.read_text("utf-8"))

    assert commands
    assert {re.match(r"make ([\w-]+)", command)[1] for command in commands} <= make_targets()  # type: ignore[index]


def test_continuous_integration_runs_these() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")

    assert set(re.findall(r"run: make (\w+)", workflow)) == {"check", "test", "lowest", "drills"}
    assert "macos-latest" in workflow


def test_hooks_of_pre_commit_run_make_targets_too() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")

    assert set(re.findall(r"entry: make (\w+)", hooks)) == {"lint", "types", "quick"}
    assert hooks.count("entry:") == 3
