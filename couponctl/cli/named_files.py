"""The files named by a command's options: none that is read is overwritten, and none is written twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.lists.same_file import STREAM, Named, check_distinct
from couponctl.settings import files_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from couponctl.cli.invocation import Invocation


def check_named_files(
    invocation: Invocation,
    *,
    reads: Mapping[str, str | None] | None = None,
    writes: Mapping[str, str | None],
) -> None:
    """Check the files before any is opened. Raises Invalid.

    Both arguments map options to their values: a path, - for a standard stream, or None. Files that hold
    settings and passwords must not be overwritten either.
    """
    read, written = _named(reads or {}), _named(writes)
    if not (read or written):
        return
    own = [Named("couponctl", str(path)) for path in files_read()]
    to_stdout = [Named("--json", STREAM)] if invocation.json else []
    check_distinct([*own, *read], [*to_stdout, *written])


def _named(options: Mapping[str, str | None]) -> list[Named]:
    return [Named(option, path) for option, path in options.items() if path is not None]
