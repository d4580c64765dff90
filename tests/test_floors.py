"""The architecture: a module imports only from lower floors, and no library but those of its floor."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import couponctl

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(couponctl.__file__).parent

ROOMS: tuple[dict[str, set[str]], ...] = (
    {"models": set()},
    {"errors": set(), "present": {"wcwidth"}},
    {"aio": {"uvloop"}, "input_rules": set(), "logs": set()},
    {"embedded": {"platformdirs"}, "lists": set(), "postgres": {"asyncpg", "sqlalchemy"}},
    {"settings": {"platformdirs"}},
    {"guards": set(), "server": set()},
    {"ledger": {"sqlalchemy"}},
    {"sandbox": {"sqlalchemy"}, "service": set()},
    {"library": set()},
    {"drills": {"platformdirs", "sqlalchemy"}},
    {"bench": {"sqlalchemy"}},
    {"tui": {"rich", "textual"}},
    {"cli": {"click"}},
    {"__main__": set()},
)
"""From the ground up: module or package -> the libraries that it may import."""

INSIDE: dict[str, tuple[set[str], ...]] = {
    "present": ({"glyph"}, {"__init__"}, {"table"}),
    "postgres": (
        {"answer_limit", "libpq", "limits", "passfile", "queue", "row_security", "sqlstates"},
        {"errors", "login_errors", "pool_stats"},
        {"connect", "engine", "troubles"},
        {"database"},
        {"server_stats"},
        {"activity", "headroom"},
    ),
    "embedded": (
        {"directory", "locks", "os_user", "supervisor"},
        {"binaries"},
        {"initdb"},
        {"cluster"},
        {"__init__"},
    ),
    "logs": ({"__init__", "raised"}, {"log_file"}),
    "lists": ({"answers", "lines", "same_file"}, {"layout"}, {"names"}),
    "ledger": ({"rules", "tables"}, {"claims", "queries", "schema"}, {"audit", "setup"}, {"doctor"}),
    "sandbox": ({"preflight", "ddl_check"}, {"schema"}),
    "drills": (
        {"check", "faults", "histogram", "uptime"},
        {"journal", "leaks", "progress"},
        {"context"},
        {"drill", "read_checks"},
        {"catalog", "reports"},
        {"engine", "plan"},
    ),
    "bench": ({"result", "timed"}, {"load", "pgbench", "rows"}, {"sandbox"}, {"closed", "open"}),
    "tui": (
        {
            "clipboard",
            "drill_process",
            "keyboard",
            "contrast",
            "modes",
            "rates",
            "snapshot",
            "terminal",
            "text",
            "theme",
        },
        {"drill_runner", "events", "poller"},
        {"dependencies", "widgets"},
        {"screens"},
        {"palette"},
        {"app"},
        {"console_main"},
    ),
}
"""The same inside the rooms: a module imports only from lower floors of its own room, too."""

MOST_MODULES = 10
"""Directly in the package; what is more belongs into a room."""


def floors_of(*floors: set[str] | dict[str, set[str]]) -> dict[str, int]:
    return {name: level for level, floor in enumerate(floors) for name in floor}


FLOOR_OF = floors_of(*ROOMS) | {
    f"{room}.{name}": level for room, floors in INSIDE.items() for name, level in floors_of(*floors).items()
}
LIBRARIES = {name: libraries for floor in ROOMS for name, libraries in floor.items()}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def parts_of(path: Path) -> tuple[str, ...]:
    """Where a file lies: ("drills", "catalog", "sale"); a package's own file is its `__init__`."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def floors_between(home: tuple[str, ...], other: tuple[str, ...]) -> tuple[int, int] | None:
    """The floors of both where they part, if an order is laid down there."""
    if home[0] != other[0]:
        return FLOOR_OF[home[0]], FLOOR_OF[other[0]]
    mine, theirs = (FLOOR_OF.get(".".join(parts[:2])) for parts in (home, other))
    if mine is None or theirs is None or home[1] == other[1]:
        return None
    return mine, theirs


def imports_of(path: Path) -> set[str]:
    """Every module that the file imports, at its top or deeper, for types or for real."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules_imported_by(path: Path) -> set[tuple[str, ...]]:
    """Those of couponctl, each as `parts_of` tells of it."""
    found = set()
    for name in imports_of(path):
        top, *below = name.split(".")
        if top == "couponctl" and below != ["__version__"]:
            found.add(_module_at(below))
    return found


def _module_at(names: list[str]) -> tuple[str, ...]:
    """The module of that name, or the one that holds what is called so."""
    if PACKAGE.joinpath(*names).with_suffix(".py").is_file():
        return tuple(names)
    if PACKAGE.joinpath(*names, "__init__.py").is_file():
        return (*names, "__init__")
    return _module_at(names[:-1])


def test_every_module_has_a_floor() -> None:
    here = {parts_of(path) for path in modules()}
    assert {parts[0] for parts in here} - {"__init__"} == set(FLOOR_OF) - {n for n in FLOOR_OF if "." in n}
    for room, floors in INSIDE.items():
        inside = {parts[1] for parts in here if parts[0] == room}
        named = set().union(*floors)
        assert inside - {"__init__"} == named - {"__init__"}, room


def test_the_package_is_rooms_and_few_modules() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_MODULES


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    home = parts_of(path)
    if home == ("__init__",):  # the library door: its names, for type checkers, from where they are made
        assert {parts[0] for parts in modules_imported_by(path)} == {"models", "errors", "service", "library"}
        return
    for other in modules_imported_by(path):
        if floors := floors_between(home, other):
            assert floors[1] < floors[0], f"{'.'.join(home)} imports {'.'.join(other)}"
    libraries = {name.split(".")[0] for name in imports_of(path)} - {"couponctl"}
    assert libraries - sys.stdlib_module_names <= LIBRARIES[home[0]]


def test_no_module_comes_back_to_itself() -> None:
    graph = {parts_of(path): modules_imported_by(path) for path in modules()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("couponctl", {"asyncio", "sqlalchemy", "asyncpg", "click", "textual", "rich", "platformdirs"}),
        ("couponctl.library", {"click", "textual", "rich", "platformdirs"}),
        ("couponctl.service", {"click", "textual", "rich"}),
        ("couponctl.drills.catalog", {"click", "textual", "rich"}),
        ("couponctl.cli", {"sqlalchemy", "asyncpg", "textual", "rich", "platformdirs"}),
        ("couponctl.settings", {"sqlalchemy", "asyncpg", "platformdirs"}),
    ],
)
def test_a_clean_interpreter_loads_no_more_than_it_needs(imported: str, absent: set[str]) -> None:
    assert not _loaded_by(f"import {imported}") & absent


def test_a_name_of_the_api_loads_only_what_it_needs() -> None:
    loaded = _loaded_by("import couponctl; dir(couponctl); couponctl.Outcome; couponctl.CouponctlError")

    assert not loaded & {"asyncio", "sqlalchemy", "asyncpg"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["create", "--help"], ["show", "--help"]])
def test_help_loads_neither_the_database_nor_the_console(arguments: list[str]) -> None:
    loaded = _loaded_by(f"from couponctl.cli import run; run({arguments!r})")

    assert not loaded & {"sqlalchemy", "asyncpg", "textual", "rich", "wcwidth"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_what_needs_no_event_loop_loads_none(arguments: list[str]) -> None:
    assert "asyncio" not in _loaded_by(f"from couponctl.cli import run; run({arguments!r})")


@pytest.mark.parametrize(
    "command",
    ["create X 1", "claim X u", "list", "verify", "stats", "drill list", "runs list", "doctor", "db init"],
)
def test_headless_commands_load_no_console(command: str, database_url: str) -> None:
    loaded = _loaded_by(
        f"import os; os.environ['COUPONCTL_URL'] = {database_url!r}\n"
        f"from couponctl.cli import run; run({command.split()!r})"
    )

    assert "sqlalchemy" in loaded
    assert not loaded & {"textual", "rich", "uvloop", "wcwidth"}


@pytest.mark.parametrize(("name", "looked_up"), [("SPRING", False), ("ลดราคา", True)])
def test_widths_are_looked_up_only_for_names_that_want_it(
    plant: Callable[..., None], database_url: str, name: str, *, looked_up: bool
) -> None:
    plant(name, 1)
    plant("GONE", 1, ("winner",))
    loaded = _loaded_by(
        f"import os; os.environ['COUPONCTL_URL'] = {database_url!r}\n"
        "from couponctl.cli import run; run(['list']); run(['show', 'GONE'])"
    )

    assert ("wcwidth" in loaded) is looked_up


def test_a_drill_runs_on_the_loop_for_load(database_url: str) -> None:
    loaded = _loaded_by(
        f"import os; os.environ['COUPONCTL_URL'] = {database_url!r}\n"
        "from couponctl.cli import run; run('drill flash-sale --n 4 --stock 2 --yes'.split())"
    )

    assert "uvloop" in loaded
    assert not loaded & {"textual", "rich"}


def _loaded_by(code: str) -> set[str]:
    """Top-level modules of a fresh interpreter after it ran the code."""
    script = f"import sys\n{code}\nprint(); print('loaded', *{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


OLD_WORDS = {
    *("abreast", "arena", "attacker", "attackers", "desk", "director"),
    *("fittings", "gate", "keeper", "leavings", "loan", "poke", "premises", "witness", "yardstick"),
}
"""Metaphors of before: couponctl says context, admin and observer connection, queue, leftovers, poller."""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_old_words_are_gone(path: Path) -> None:
    # ServerLeavings and attacker_of are several words each.
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", path.read_text("utf-8"))}

    assert not words & OLD_WORDS
