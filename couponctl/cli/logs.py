"""Where a command logs: `--log-file` names the file, COUPONCTL_LOG the level."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from couponctl import __version__
from couponctl.errors import Invalid
from couponctl.lists.same_file import STREAM, Named, check_distinct
from couponctl.logs import logger
from couponctl.logs.log_file import level_of, log_to_file, log_to_stderr
from couponctl.logs.raised import raised
from couponctl.settings import console_log, files_read

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from couponctl.logs.log_file import Log

_log = logger(__name__)

OPTION = "--log-file"
LEVEL = "COUPONCTL_LOG"

_PYTHON = platform.python_version()

_ON_SCREEN = "tui"
"""The command whose stderr is its screen."""
_READ = "--from"
"""The option that names a file which is read; all other options of a FILE name one that is written."""


def opened(log_file: str | None, context: click.Context) -> Log:
    """Open the file, or without one what stands in for it. Raises Invalid; nothing has been written then."""
    log = _opened(log_file, context)
    _log.info("%s begins: couponctl %s, Python %s.", context.command_path, __version__, _PYTHON)
    return log


def ended(log: Log, exit_code: int | None) -> None:
    """Close the log of a command; `exit_code` is None if even that failed."""
    _log.info("The command ended with exit code %s.", exit_code)
    log.close()


def note_unexpected(error: Exception) -> None:
    _log.error("The command broke: %s.", raised(error))


def _opened(log_file: str | None, context: click.Context) -> Log:
    word = os.environ.get(LEVEL)
    level = level_of(word or "info")
    on_screen = context.command.name == _ON_SCREEN
    if log_file is not None:
        return _in_file(log_file, level, context, on_screen=on_screen)
    return _beside_the_console(level) if on_screen else log_to_stderr(level)


def _in_file(path: str, level: int, context: click.Context, *, on_screen: bool) -> Log:
    if path == STREAM:
        raise Invalid(OPTION, f"must be a file; {LEVEL} without it writes to stderr")
    files = dict(_files_of(context))
    read = [Named(_READ, files.pop(_READ))] if _READ in files else []
    own = [Named("couponctl", str(each)) for each in files_read()]
    written = [Named(option, file) for option, file in files.items()]
    check_distinct([*own, *read], [*written, Named(OPTION, path)])
    log = log_to_file(path, level, named_by=OPTION)
    if on_screen and log.on_terminal:
        log.close()
        raise Invalid(OPTION, f"{path} is a terminal, on which the console draws; name a file")
    return log


def _files_of(context: click.Context) -> Iterator[tuple[str, Any]]:
    for option in context.command.params:
        if option.metavar == "FILE" and option.name and (given := context.params.get(option.name)):
            yield option.opts[0], given


def _beside_the_console(level: int) -> Log:
    path = console_log()
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise Invalid(LEVEL, f"{path} cannot be written ({exc.strerror}); name another: {OPTION}") from exc
    return log_to_file(str(path), level, named_by=LEVEL)
