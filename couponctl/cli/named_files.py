"""The files that a command is given by name: none that it reads is written over, and none written twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.lists.one_file import STREAM, Named, check_distinct
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
    """Look at them before any is opened. Raises Invalid.

    Both map options to what they were given: a path, - for a standard stream, or None. Where settings and
    passwords are read from must not be written over either.
    """
    read, written = _named(reads or {}), _named(writes)
    if not (read or written):
        return
    own = [Named("couponctl", str(path)) for path in files_read()]
    to_stdout = [Named("--json", STREAM)] if invocation.json else []
    check_distinct([*own, *read], [*to_stdout, *written])


def _named(options: Mapping[str, str | None]) -> list[Named]:
    return [Named(option, path) for option, path in options.items() if path is not None]
