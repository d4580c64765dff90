"""One file by two names: found before anything is opened, so that nothing is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from couponctl.errors import Invalid
from couponctl.lists.same_file import Named, check_distinct

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def list_file(tmp_path: Path) -> Path:
    file = tmp_path / "users.txt"
    file.write_text("alice\n")
    return file


def other_names_of(file: Path) -> dict[str, str]:
    hard, soft, chain = (file.with_name(name) for name in ("hard", "soft", "chain"))
    os.link(file, hard)
    soft.symlink_to(file)
    chain.symlink_to(soft)
    return {
        "itself": str(file),
        "with dots": f"{file.parent}/../{file.parent.name}/./{file.name}",
        "relative": os.path.relpath(file),
        "hard link": str(hard),
        "symbolic link": str(soft),
        "link to a link": str(chain),
    }


@pytest.mark.parametrize(
    "name", ["itself", "with dots", "relative", "hard link", "symbolic link", "link to a link"]
)
def test_what_is_read_is_not_written_by_any_name(list_file: Path, name: str) -> None:
    path = other_names_of(list_file)[name]

    for read, written in ((str(list_file), path), (path, str(list_file))):
        with pytest.raises(Invalid, match=r"--results: .* is the file that --from reads"):
            check_distinct([Named("--from", read)], [Named("--results", written)])
    assert list_file.read_text() == "alice\n"


@pytest.mark.parametrize("name", ["itself", "with dots", "hard link", "symbolic link"])
def test_two_that_write_never_meet(list_file: Path, name: str) -> None:
    path = other_names_of(list_file)[name]

    with pytest.raises(Invalid, match=r"--junit: --json writes to .* already"):
        check_distinct([], [Named("--json", str(list_file)), Named("--junit", path)])


def test_two_that_write_never_meet_in_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("new")

    for other in (f"{tmp_path}/d/../new", f"{tmp_path}/link"):
        with pytest.raises(Invalid, match="--markdown: --junit writes to"):
            check_distinct([], [Named("--junit", f"{tmp_path}/new"), Named("--markdown", other)])
    assert not (tmp_path / "new").exists()


def test_different_files_may_have_anything_to_do_with_each_other(list_file: Path) -> None:
    other = list_file.with_name("other")
    other.write_text("alice\n")

    check_distinct(
        [Named("--from", str(list_file)), Named("--again", str(list_file))],
        [Named("--results", str(other)), Named("--junit", str(list_file.with_name("new")))],
    )


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/dev/tty"])
def test_devices_may_be_named_twice(device: str) -> None:
    check_distinct([Named("--from", device)], [Named("--results", device), Named("--junit", device)])


def test_a_standard_stream_is_written_once() -> None:
    with pytest.raises(Invalid, match="--junit: --json writes to standard output already"):
        check_distinct([], [Named("--json", "-"), Named("--junit", "-")])
    check_distinct([Named("--from", "-")], [Named("--results", "-")])
