"""Whether this checkout may be published: `make release-check`, with TAG=v1.2.3 in the release workflow."""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import date
from pathlib import Path

from tests.support.links import links_of, repository_of

ROOT = Path(__file__).parents[2]


def objections(root: Path, tag: str = "") -> list[str]:
    """Return why the tree in `root` may not be published, with that tag if one is given."""
    version = re.search(
        r'^__version__ = "(.+)"', (root / "couponctl/__init__.py").read_text("utf-8"), re.MULTILINE
    )
    if version is None:
        return ["couponctl/__init__.py has no __version__"]
    found = []
    if tag and tag != f"v{version[1]}":
        found.append(f"the tag is {tag}, but __version__ is {version[1]}: it would be v{version[1]}")
    return [*found, *_of_the_changelog(root, version[1]), *_of_the_links(root)]


def _of_the_changelog(root: Path, version: str) -> list[str]:
    heading = re.search(r"^## (.+)", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    newest, _, when = heading[1].partition(" - ") if heading else ("nothing", "", "")
    if newest != version:
        return [f"__version__ is {version}, but the newest entry of CHANGELOG.md is {newest}"]
    try:
        date.fromisoformat(when)
    except ValueError:
        return [
            f"the entry {version} of CHANGELOG.md is not dated: {when or 'nothing'} instead of YYYY-MM-DD"
        ]
    return []


def _of_the_links(root: Path) -> list[str]:
    """PyPI shows the README outside the repository, where relative links lead nowhere."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    if not repository_of(project):
        return [
            "pyproject.toml has no [project.urls] Repository, which the README's links on PyPI begin with"
        ]
    relative = [link for link in links_of((root / "README.md").read_text("utf-8")) if "://" not in link]
    return [f"README.md links to {link}, which leads nowhere on PyPI" for link in relative if link[0] != "#"]


def main(arguments: list[str]) -> int:
    found = objections(ROOT, *arguments)
    for objection in found:
        print(objection, file=sys.stderr)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
