"""The architecture: a module imports only from lower floors, and no library but those of its floor."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import couponctl

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(couponctl.__file__).parent

FLOORS: tuple[dict[str, set[str]], ...] = (
    {"models": set()},
    {"errors": set(), "present": {"wcwidth"}},
    {
        "cancellation": set(),
        "embedded": {"platformdirs"},
        "event_loop": {"uvloop"},
        "flood": set(),
        "gate": set(),
        "input_rules": set(),
        "interruption": set(),
        "libpq": set(),
        "sqlstates": set(),
        "passfile": set(),
        "tables": {"sqlalchemy"},
    },
    {"lists": set(), "settings": {"platformdirs"}},
    {
        "driver_errors": {"sqlalchemy", "asyncpg"},
        "guards": set(),
        "login_failures": {"asyncpg"},
        "reach": set(),
    },
    {"engine": {"sqlalchemy", "asyncpg"}, "login": {"asyncpg"}, "pool_watch": {"sqlalchemy"}},
    {"database": {"sqlalchemy", "asyncpg"}},
    {
        "claims": {"sqlalchemy"},
        "questions": {"sqlalchemy"},
        "rules": {"sqlalchemy"},
        "schema": {"sqlalchemy"},
    },
    {"headroom": {"sqlalchemy"}, "setting_up": {"sqlalchemy"}},
    {"activity": {"sqlalchemy"}, "audit": {"sqlalchemy"}, "doctor": {"sqlalchemy"}},
    {"service": {"sqlalchemy"}, "faults": {"sqlalchemy"}, "wire": set()},
    {"drills": {"sqlalchemy"}},
    {"bench": {"sqlalchemy"}, "runs": {"platformdirs"}},
    {"tui": {"rich", "textual"}},
    {"cli": {"click"}},
    {"__main__": set()},
)
"""From the ground up: module or package -> the libraries that it may import."""

FLOOR_OF = {name: level for level, floor in enumerate(FLOORS) for name in floor}
LIBRARIES = {name: libraries for floor in FLOORS for name, libraries in floor.items()}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def home_of(path: Path) -> str:
    """The module or package of the floors that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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


def test_every_module_has_a_floor() -> None:
    assert {home_of(path) for path in modules()} - {"__init__"} == set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    home = home_of(path)
    if home == "__init__":
        assert imports_of(path) == {"__future__.annotations"}
        return
    for name in imports_of(path):
        top, *below = name.split(".")
        if top == "couponctl":
            other = below[0]
            is_version = other == "__version__"
            assert is_version or other == home or FLOOR_OF[other] < FLOOR_OF[home], f"{home} imports {name}"
        elif top not in sys.stdlib_module_names:
            assert top in LIBRARIES[home], f"{home} imports {name}"


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("couponctl.service", {"click", "textual", "rich"}),
        ("couponctl.drills.catalog", {"click", "textual", "rich"}),
        ("couponctl.cli", {"sqlalchemy", "asyncpg", "textual", "rich", "platformdirs"}),
        ("couponctl.settings", {"sqlalchemy", "asyncpg", "platformdirs"}),
    ],
)
def test_a_clean_interpreter_loads_no_more_than_it_needs(imported: str, absent: set[str]) -> None:
    assert not _loaded_by(f"import {imported}") & absent


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


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop for Windows")
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
