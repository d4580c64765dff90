"""What is published agrees with itself: tag, version, changelog, and links that lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from couponctl import __version__
from tests.support.links import anchors_of, is_dead, links_of
from tests.support.release import main, objections

ROOT = Path(__file__).parents[1]


@pytest.fixture
def releasable(tmp_path: Path) -> Path:
    """A tree that may be published as 1.2.3."""
    (tmp_path / "couponctl").mkdir()
    (tmp_path / "couponctl/__init__.py").write_text('"""A console."""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 1.2.3 - 2026-11-29\n\n- More.\n\n## 1.2.2 - x\n"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "couponctl"\n[project.urls]\nRepository = "https://forge.example/shop/couponctl/"\n'
    )
    (tmp_path / "README.md").write_text(
        "# couponctl\n\n[tour](#tour), [more](https://forge.example/shop/couponctl/blob/main/CHANGELOG.md)\n"
    )
    return tmp_path


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("tag", ["", "v1.2.3"])
def test_what_agrees_may_be_published(releasable: Path, tag: str) -> None:
    assert objections(releasable, tag) == []


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2.3rc1"])
def test_a_tag_of_another_version_is_refused(releasable: Path, tag: str) -> None:
    (objection,) = objections(releasable, tag)
    assert objection == f"the tag is {tag}, but __version__ is 1.2.3: it would be v1.2.3"


@pytest.mark.parametrize(
    ("path", "old", "new", "objection"),
    [
        ("couponctl/__init__.py", "__version__", "version", "has no __version__"),
        ("couponctl/__init__.py", "1.2.3", "1.3.0", "the newest entry of CHANGELOG.md is 1.2.3"),
        ("CHANGELOG.md", "2026-11-29", "unreleased", "is not dated: unreleased"),
        ("CHANGELOG.md", " - 2026-11-29", "", "is not dated: nothing"),
        ("CHANGELOG.md", "## ", "", "the newest entry of CHANGELOG.md is nothing"),
        ("pyproject.toml", "Repository", "Homepage", "has no [project.urls] Repository"),
        ("README.md", "https://forge.example/shop/couponctl/blob/main/", "", "leads nowhere on PyPI"),
    ],
)
def test_what_does_not_agree_is_refused(
    releasable: Path, path: str, old: str, new: str, objection: str
) -> None:
    rewrite(releasable / path, old, new)

    (found,) = objections(releasable)
    assert objection in found


def test_the_objections_are_told_and_fail_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["v0.0.0-nobody-tags-this"]) == 1

    assert f"it would be v{__version__}" in capsys.readouterr().err


def test_the_changelog_begins_with_this_version() -> None:
    assert not [each for each in objections(ROOT) if "newest entry" in each]


def test_links_are_found_in_text_and_not_in_code() -> None:
    page = "![a picture](a.svg) and [a [nested] link](<b.md#c>)\n```sh\n[no](link.md)\n# no heading\n```\n"

    assert links_of(page) == ["a.svg", "b.md#c"]
    assert anchors_of(page + "## `make quick`, and more\n") == {"make-quick-and-more"}


@pytest.mark.parametrize(
    ("link", "dead"),
    [
        ("CHANGELOG.md", False),
        ("CHANGELOG.md#changelog", False),
        ("CHANGELOG.md#nothing", True),
        ("GONE.md", True),
        ("#couponctl", False),
        ("#gone", True),
        ("https://elsewhere.example/GONE.md", False),
        ("https://forge.example/shop/couponctl/blob/main/CHANGELOG.md", False),
        ("https://forge.example/shop/couponctl/raw/main/GONE.svg", True),
    ],
)
def test_a_link_is_dead_if_it_leads_to_no_file_or_heading(releasable: Path, link: str, dead: bool) -> None:
    repository = "https://forge.example/shop/couponctl"

    assert is_dead(link, releasable / "README.md", releasable, repository) is dead


def test_every_tool_of_the_dev_extra_is_bounded() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]

    for requirement in (*extras["dev"], *extras["mutation"]):
        assert re.search(r">=[\d.]+,<[\d.]+$", requirement), requirement
