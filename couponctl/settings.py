"""Which database to use, with which limits: decided from options, environment and config before connecting.

The first of these that is set names the database: `--url`, `--context`, COUPONCTL_URL, COUPONCTL_CONTEXT,
libpq's environment, else the embedded server. PGHOST, PGHOSTADDR, PGPORT, PGDATABASE or PGSERVICE name a
server. PGUSER, PGPASSWORD and PGSSLMODE alone do not: shells export them for other programs.

A context is a table in config.toml with `url`, any of `host port user password dbname service sslmode
passfile`, or `embedded` and `data_dir`; also `read_only`, `environment`, `pool_size` and timeouts:

    [contexts.shop]
    host = "db1,db2"
    dbname = "shop"
    environment = "production"
    lock_timeout = 2.5

A password in it requires a file that only its owner can read; ~/.pgpass is the better place.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from couponctl.errors import BadSettings
from couponctl.postgres.libpq import (
    Server,
    checked,
    holds_secret,
    own_files,
    parsed,
    refuse_unknown,
    server_of,
    whole_number,
)
from couponctl.postgres.limits import DEFAULT_LIMITS, Limits
from couponctl.postgres.passfile import complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from couponctl.postgres.libpq import Environment, Params

    Table = Mapping[str, object]

_T = TypeVar("_T", str, bool)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The private server that couponctl starts and stops itself."""

    base: Path | None = None
    """Absolute path of its data; None for the default of `couponctl.embedded`."""

    @property
    def where(self) -> str:
        """The server in one line for people."""
        return f"embedded ({self.base})" if self.base else "embedded"


Target = Embedded | Server

MAX_POOL_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """A database and the limits to use it with."""

    target: Target
    read_only: bool = False
    """Writing commands are refused."""
    environment: str = ""
    """A label in lower case; with `production`, drills and destructive commands require --confirm."""
    limits: Limits = DEFAULT_LIMITS


def load(
    *,
    url: str | None = None,
    context: str | None = None,
    environ: Environment = os.environ,
    config: Path | None = None,
    flags: bool = True,
) -> Settings:
    """Decide which database to use; reads config and service files, but does not connect.

    `url` and `context` are the command line's flags, or a program's arguments: without `flags` they are
    named as such in sentences, and a URL may hold a password, for no `ps` shows it. `config` is the file
    with the contexts (default `config_path()`). Raises BadSettings, which never quotes part of a URL or a
    password.
    """
    dashes = "--" if flags else ""
    if url is not None and context is not None:
        raise BadSettings(f"{dashes}url and {dashes}context both name a database", "Give one of them.")
    if url is not None:
        params = parsed(url, f"{dashes}url")
        if flags and holds_secret(params):
            way_out = "Put it into COUPONCTL_URL, PGPASSWORD, ~/.pgpass or a service file."
            raise BadSettings("--url holds a password, which everyone can read in `ps`", way_out)
        return _on_server(params, f"{dashes}url", environ, {})
    if context is not None:
        return _from_context(context, environ, config or config_path())
    if environ.get("COUPONCTL_URL"):
        return _on_server(parsed(environ["COUPONCTL_URL"], "COUPONCTL_URL"), "COUPONCTL_URL", environ, {})
    if environ.get("COUPONCTL_CONTEXT"):
        return _from_context(environ["COUPONCTL_CONTEXT"], environ, config or config_path())
    if any(environ.get(name) for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")):
        return _on_server({}, "the PG* environment", environ, {})
    return _settings(Embedded(_data_dir(environ)), environ, {})


def passfile_complaint(settings: Settings) -> str:
    """Return why the password file is ignored, in words; empty if it is not, or not needed."""
    target = settings.target
    return complaint(target.passfile) if isinstance(target, Server) and target.password is None else ""


def config_path() -> Path:
    """Return the path of the contexts' file."""
    from platformdirs import user_config_path  # noqa: PLC0415 - needed only for contexts

    return user_config_path("couponctl") / "config.toml"


def console_log() -> Path:
    """Return the path of the console's log, unless another is named. Raises BadSettings without a home."""
    from platformdirs import user_state_path  # noqa: PLC0415 - needed only for a log that has no name

    try:
        return user_state_path("couponctl") / "couponctl.log"
    except RuntimeError:  # a user without a home
        raise BadSettings("there is no home directory to keep a log in", "Name one: --log-file.") from None


def files_read(environ: Environment = os.environ) -> tuple[Path, ...]:
    """Return the files that settings and passwords may be read from, whether or not they exist."""
    try:
        return (config_path(), *own_files(environ))
    except RuntimeError:  # a user without a home
        return ()


def context_names(config: Path | None = None) -> tuple[str, ...]:
    """Return the names of the contexts, in the file's order. Raises BadSettings if it cannot be read."""
    return tuple(_contexts(config or config_path()))


_TIMEOUTS = ("acquire_timeout", "connect_timeout", "lock_timeout", "statement_timeout", "command_timeout")
_SERVER_KEYS = ("host", "port", "user", "password", "dbname", "service", "sslmode", "passfile")
_KEYS = (*_SERVER_KEYS, *_TIMEOUTS, "url", "embedded", "data_dir", "read_only", "environment", "pool_size")


def _from_context(name: str, environ: Environment, config: Path) -> Settings:
    contexts = _contexts(config)
    if name not in contexts:
        way_out = f"There are: {', '.join(contexts)}." if contexts else f"Write a table [contexts.{name}]."
        raise BadSettings(f'there is no context "{name}" in {config}', way_out)
    table, origin = contexts[name], f'context "{name}" in {config}'
    refuse_unknown(table, _KEYS, origin)
    if type(table.get("port")) is int:
        table = table | {"port": str(table["port"])}
    params = {key: _typed(table, key, str, origin) for key in _SERVER_KEYS if key in table}
    embedded = _typed(table, "embedded", bool, origin) or "data_dir" in table
    if ("url" in table) + bool(params) + embedded != 1:
        way_out = f"Give it either url, or some of {', '.join(_SERVER_KEYS)}, or embedded = true."
        raise BadSettings(f"{origin} must name one database", way_out)
    if embedded:
        data_dir = _typed(table, "data_dir", str, origin)
        own = _path(data_dir, origin, config.parent) if data_dir else _data_dir(environ)
        return _settings(Embedded(own), environ, table, origin)
    if "url" in table:
        params = parsed(_typed(table, "url", str, origin), origin)
    if holds_secret(params) and config.stat().st_mode & 0o077:
        raise BadSettings(f"{origin} holds a password that others can reach", f"Run: chmod 600 {config}")
    if "passfile" in table:
        params["passfile"] = str(_path(params["passfile"], origin, config.parent))
    return _on_server(checked(params, origin), f'context "{name}"', environ, table, origin)


def _contexts(config: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        place = re.search(r"(?<=at )line \d+", str(exc)) if isinstance(exc, ValueError) else None
        problem = f"{config} cannot be read" + (f" at {place[0]}" if place else "")
        raise BadSettings(problem, "Correct its TOML or its permissions.") from None
    refuse_unknown(tables, ("contexts",), str(config))
    contexts = tables.get("contexts", {})
    if not isinstance(contexts, dict) or not all(isinstance(table, dict) for table in contexts.values()):
        raise BadSettings(f"{config}: every context must be a table", "Begin it with [contexts.NAME].")
    return contexts


def _typed(table: Table, key: str, kind: type[_T], origin: str) -> _T:
    value = table.get(key, kind())
    if not isinstance(value, kind):
        raise BadSettings(
            f"{origin}: {key} must be {'a text' if kind is str else 'true or false'}", "Correct it there."
        )
    return value


def _path(text: str, origin: str, base: Path | None = None) -> Path:
    try:
        return ((base or Path()) / Path(text).expanduser()).absolute()
    except RuntimeError:
        raise BadSettings(f"{origin}: ~ stands for no known directory", "Write the path in full.") from None


def _data_dir(environ: Environment) -> Path | None:
    path = environ.get("COUPONCTL_DATA_DIR")
    return _path(path, "COUPONCTL_DATA_DIR") if path else None


def _settings(target: Target, environ: Environment, table: Table, origin: str = "") -> Settings:
    word = _typed(table, "environment", str, origin).strip().lower()
    if not word.isprintable() or (word.startswith("prod") and word != "production"):
        # A misspelt "production" would silently remove the guards.
        raise BadSettings(f"{origin}: environment must be production or another word", "Write it in full.")
    return Settings(target, _typed(table, "read_only", bool, origin), word, _limits(environ, table, origin))


def _limits(environ: Environment, table: Table, origin: str) -> Limits:
    given: dict[str, Any] = {
        key: _seconds(table[key], f"{origin}: {key}") for key in _TIMEOUTS if key in table
    }
    if size := environ.get("COUPONCTL_POOL_SIZE"):
        given["pool_size"] = whole_number(size, "COUPONCTL_POOL_SIZE", MAX_POOL_SIZE)
    elif "pool_size" in table:
        given["pool_size"] = whole_number(table["pool_size"], f"{origin}: pool_size", MAX_POOL_SIZE)
    limits = Limits(**given)
    if limits.command_timeout <= limits.statement_timeout:
        way_out = f"That is {limits.statement_timeout:g} s; give it five more."
        raise BadSettings(f"{origin}: command_timeout must be longer than statement_timeout", way_out)
    return limits


def _on_server(params: Params, source: str, environ: Environment, table: Table, origin: str = "") -> Settings:
    server, connect_timeout = server_of(params, source, environ)
    defaults = {} if connect_timeout is None else {"connect_timeout": connect_timeout}
    return _settings(server, environ, {**defaults, **table}, origin)


def _seconds(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 3600:
        raise BadSettings(f"{what} must be a number of seconds from 0.01 to 3600", "Correct it there.")
    return float(value)
