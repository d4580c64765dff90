"""Links of the pages, and where they lead in this repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def repository_of(project: dict[str, Any]) -> str:
    """Return the repository's URL without a slash at its end, by the [project] table; "" if it has none."""
    urls = {name.lower(): url for name, url in project.get("urls", {}).items()}
    return str(urls.get("repository", "")).rstrip("/")


def without_code(page: str) -> str:
    """Return the page without its blocks of code, in which nothing is a link or a heading."""
    return re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)


def links_of(page: str) -> list[str]:
    """Return the targets of all links and pictures."""
    return re.findall(r"\]\(<?([^)\s>]+)", without_code(page))


def anchors_of(page: str) -> set[str]:
    """Return the fragments by which GitHub reaches the page's headings."""
    headings = re.findall(r"^#+ (.+)", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_dead(link: str, page: Path, root: Path, repository: str) -> bool:
    """Return whether a link of a page leads to no file or heading. Other sites are believed."""
    if repository:
        link = re.sub(rf"^{re.escape(repository)}/(?:blob|raw|tree)/[^/#]+/", f"{root}/", link)
    if "://" in link:
        return False
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors_of(target.read_text("utf-8"))
