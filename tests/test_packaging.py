"""What is built is what runs elsewhere: the wheel holds the schema, the types and the licence."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from couponctl import __version__
from couponctl.ledger.schema import schema_sql

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, as it is when it is published."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_program_reads(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)

    assert (tmp_path / "couponctl" / "sql" / "schema.sql").read_text() == schema_sql()
    assert (tmp_path / "couponctl" / "py.typed").exists()
    assert list(tmp_path.glob("*.dist-info/licenses/LICENSE"))


def test_the_program_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import couponctl.ledger.schema as s; print(s.__file__); print(len(s.schema_sql()))"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        str(tmp_path / "couponctl" / "ledger" / "schema.py"),
        str(len(schema_sql())),
    ]


def test_the_script_and_the_version() -> None:
    (script,) = entry_points(group="console_scripts", name="couponctl")

    assert script.value == "couponctl.__main__:main"
    assert __version__.count(".") == 2
