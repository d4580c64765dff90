"""Where the database is and with which limits, decided before any connection from what the operator gave.

The first that is set names the database: `--url`, `--context`, COUPONCTL_URL, COUPONCTL_CONTEXT, libpq's
environment, else the embedded server. PGHOST, PGHOSTADDR, PGPORT, PGDATABASE and PGSERVICE name a server;
PGUSER, PGPASSWORD and PGSSLMODE say who and how, not where, and shells export them for other programs.

The gaps of whatever names a server are filled as psql fills them: from the service, the PG* variables, then
libpq's defaults. All of it is resolved here, because asyncpg ignores PGSERVICE, trips over `%` in a service
file and sends parameters that it does not know to the server. What it cannot honour is dropped only where
that weakens nothing (keepalives), else refused (`channel_binding=require`).

A context is a table in config.toml with `url`, any of `host port user password dbname service sslmode
passfile`, or `embedded` and `data_dir`; beside them `read_only`, `environment`, `pool_size` and timeouts:

    [contexts.shop]
    host = "db1,db2"
    dbname = "shop"
    environment = "production"
    lock_timeout = 2.5

A password in it wants a file that nobody else can read; ~/.pgpass is the better place.
"""

from __future__ import annotations

import os
import pwd
import re
import tomllib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    Env = Mapping[str, str]
    Params = dict[str, str]
    Table = Mapping[str, object]

_T = TypeVar("_T", str, bool)


@dataclass(frozen=True, slots=True)
class Host:
    """One address of a server."""

    host: str
    """A name, an IP address, or the directory of a Unix socket."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if set(self.host) & set("/:") else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Embedded:
    """The private server that couponctl starts and stops itself."""

    base: Path | None = None
    """Where its data lives, absolute; None leaves that to `couponctl.embedded`."""

    @property
    def where(self) -> str:
        """The server in one line for people."""
        return f"embedded ({self.base})" if self.base else "embedded"


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server that somebody else runs."""

    dsn: str = field(repr=False)
    """For `asyncpg.connect(dsn, host=..., port=...)`: everything but the hosts, the password included."""
    hosts: tuple[Host, ...]
    """To be tried in this order."""
    user: str
    database: str
    source: str
    """Who named it, for people: `--url`, `the PG* environment` and so on."""

    @property
    def where(self) -> str:
        """The server in one line for people, without the password."""
        return f"{self.user}@{','.join(map(str, self.hosts))}/{self.database}"


Target = Embedded | Server


@dataclass(frozen=True, slots=True)
class Settings:
    """A database and the limits to use it with; times in seconds."""

    target: Target
    read_only: bool = False
    """Every writer refuses."""
    environment: str = ""
    """A word for people, in lower case; `production` makes drills and destructive verbs ask for more."""
    pool_size: int = 10
    """The most connections at once; COUPONCTL_POOL_SIZE beats the context."""
    acquire_timeout: float = 30.0
    """Waiting for a connection of the pool."""
    connect_timeout: float = 5.0
    """Connecting, for each host; libpq's parameter counts, but not its 0, which waits for ever."""
    lock_timeout: float = 5.0
    """Waiting for a row, ended by the server."""
    statement_timeout: float = 10.0
    """One statement, ended by the server."""
    command_timeout: float = 15.0
    """One statement, ended by the client; longer than `statement_timeout`, so that the server wins."""


def load(
    *,
    url: str | None = None,
    context: str | None = None,
    environ: Env = os.environ,
    config: Path | None = None,
) -> Settings:
    """Decide which database to use; reads the config and service files, connects to nothing.

    `url` and `context` are the flags, `config` the file with the contexts (default `config_path()`).
    Raises BadSettings, in which no part of a URL and no password is quoted.
    """
    if url is not None and context is not None:
        raise BadSettings("--url and --context both name a database", "Give one of them.")
    if url is not None:
        params = _parse(url, "--url")
        if _SECRETS & params.keys():
            way_out = "Put it into COUPONCTL_URL, PGPASSWORD, ~/.pgpass or a service file."
            raise BadSettings("--url holds a password, which everyone can read in `ps`", way_out)
        return _on_server(params, "--url", environ, {})
    if context is not None:
        return _from_context(context, environ, config or config_path())
    if environ.get("COUPONCTL_URL"):
        return _on_server(_parse(environ["COUPONCTL_URL"], "COUPONCTL_URL"), "COUPONCTL_URL", environ, {})
    if environ.get("COUPONCTL_CONTEXT"):
        return _from_context(environ["COUPONCTL_CONTEXT"], environ, config or config_path())
    if any(environ.get(name) for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE")):
        return _on_server({}, "the PG* environment", environ, {})
    return _settings(Embedded(_data_dir(environ)), environ, {})


def config_path() -> Path:
    """The file that holds the contexts."""
    from platformdirs import user_config_path  # noqa: PLC0415 - without a context nothing needs it

    return user_config_path("couponctl") / "config.toml"


def context_names(config: Path | None = None) -> tuple[str, ...]:
    """The contexts of the config file, in its order; raises BadSettings if it cannot be read."""
    return tuple(_contexts(config or config_path()))


_HANDED_ON = {
    **dict.fromkeys(("options", "passfile", "sslcert", "sslkey", "sslpassword", "sslcrl"), ".*"),
    "krbsrvname": ".*",
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), r"(TLSv1(\.[123])?)?"),
    "sslmode": "disable|allow|prefer|require|verify-ca|verify-full",
    "sslnegotiation": "postgres|direct",
    "sslrootcert": "(?!system$).*",  # to asyncpg `system` is the name of a file
    "target_session_attrs": "any|read-write|read-only|primary|standby|prefer-standby",
    "gsslib": "gssapi|sspi",
}
"""What asyncpg understands, and the values it takes."""

_KEPT_BACK = {
    **dict.fromkeys(("host", "hostaddr", "user", "password", "dbname", "service"), ".*"),
    **dict.fromkeys(("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"), ".*"),
    **dict.fromkeys(("tcp_user_timeout", "client_encoding", "sslcompression", "max_protocol_version"), ".*"),
    # couponctl signs its connections itself: by their application's name drills know their own
    **dict.fromkeys(("application_name", "fallback_application_name"), ".*"),
    **dict.fromkeys(("channel_binding", "gssencmode"), "disable|prefer"),
    "port": "[0-9, ]*",
    "connect_timeout": " *-?[0-9]{0,9} *",
    **dict.fromkeys(("require_auth", "requirepeer", "sslcrldir", "sslcertmode", "sslsni"), ""),
    **dict.fromkeys(("gssdelegation", "load_balance_hosts", "min_protocol_version", "replication"), ""),
}
"""What libpq understands too; it is read here, or these values ask for nothing that asyncpg cannot do."""

_PARAMETERS = _KEPT_BACK | _HANDED_ON
_SECRETS = {"password", "sslpassword"}
_ODD = {"dbname": "PGDATABASE", "connect_timeout": "PGCONNECT_TIMEOUT", "sslpassword": "", "replication": ""}
_VARIABLES = {_ODD.get(key, f"PG{key.replace('_', '').upper()}"): key for key in _PARAMETERS}
"""The variable of every parameter, as libpq names it; two have none."""

_TIMEOUTS = ("acquire_timeout", "connect_timeout", "lock_timeout", "statement_timeout", "command_timeout")
_SERVER_KEYS = ("host", "port", "user", "password", "dbname", "service", "sslmode", "passfile")
_KEYS = (*_SERVER_KEYS, *_TIMEOUTS, "url", "embedded", "data_dir", "read_only", "environment", "pool_size")
_SOCKET_DIRECTORIES = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - where libpq looks

# An @ behind the host is refused, unlike by libpq: it is the end of a password with a raw @ or / in it.
_HOST = r"(?:\[[^][/?@]+\]|[^][:,/?@]*)(?::[^][:,/?@]*)?"
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:/?@]*)(?::(?P<password>[^/@]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<dbname>[^?@]*))?(?:\?(?P<query>(?:[^@&=]*=[^@&=]*(?:&|$))*))?"
)


def _from_context(name: str, environ: Env, config: Path) -> Settings:
    contexts = _contexts(config)
    if name not in contexts:
        way_out = f"There are: {', '.join(contexts)}." if contexts else f"Write a table [contexts.{name}]."
        raise BadSettings(f"there is no context “{name}” in {config}", way_out)
    table, origin = contexts[name], f"context “{name}” in {config}"
    _refuse_unknown(table, _KEYS, origin)
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
        params = _parse(_typed(table, "url", str, origin), origin)
    if _SECRETS & params.keys() and config.stat().st_mode & 0o077:
        raise BadSettings(f"{origin} holds a password that others can reach", f"Run: chmod 600 {config}")
    if "passfile" in table:
        params["passfile"] = str(_path(params["passfile"], origin, config.parent))
    return _on_server(_checked(params, origin), f"context “{name}”", environ, table, origin)


def _contexts(config: Path) -> dict[str, dict[str, object]]:
    try:
        tables = tomllib.loads(config.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        place = re.search(r"(?<=at )line \d+", str(exc)) if isinstance(exc, ValueError) else None
        problem = f"{config} cannot be read" + (f" at {place[0]}" if place else "")
        raise BadSettings(problem, "Mend its TOML or its permissions.") from None
    _refuse_unknown(tables, ("contexts",), str(config))
    contexts = tables.get("contexts", {})
    if not isinstance(contexts, dict) or not all(isinstance(table, dict) for table in contexts.values()):
        raise BadSettings(f"{config}: every context must be a table", "Begin it with [contexts.NAME].")
    return contexts


def _refuse_unknown(keys: Iterable[str], known: Collection[str], origin: str) -> None:
    for key in keys:
        if key not in known:  # nor quoted: it may be half a password, `?password=a&b=`
            closest = get_close_matches(key, known, 1, 0)[0]
            raise BadSettings(f"{origin} has an unknown key", f"Did you mean {closest}?")


def _typed(table: Table, key: str, kind: type[_T], origin: str) -> _T:
    value = table.get(key, kind())
    if not isinstance(value, kind):
        raise BadSettings(
            f"{origin}: {key} must be {'a text' if kind is str else 'true or false'}", "Mend it there."
        )
    return value


def _path(text: str, origin: str, base: Path | None = None) -> Path:
    try:
        return ((base or Path()) / Path(text).expanduser()).absolute()
    except RuntimeError:
        raise BadSettings(f"{origin}: ~ stands for no known directory", "Write the path in full.") from None


def _data_dir(environ: Env) -> Path | None:
    path = environ.get("COUPONCTL_DATA_DIR")
    return _path(path, "COUPONCTL_DATA_DIR") if path else None


def _settings(target: Target, environ: Env, table: Table, origin: str = "") -> Settings:
    limits: dict[str, Any] = {}
    limits |= {key: _seconds(table[key], f"{origin}: {key}") for key in _TIMEOUTS if key in table}
    if size := environ.get("COUPONCTL_POOL_SIZE"):
        limits["pool_size"] = _whole(size, "COUPONCTL_POOL_SIZE", 1000)
    elif "pool_size" in table:
        limits["pool_size"] = _whole(table["pool_size"], f"{origin}: pool_size", 1000)
    word = _typed(table, "environment", str, origin).strip().lower()
    if not word.isprintable() or (word.startswith("prod") and word != "production"):
        # A misspelt word would quietly take the guards away.
        raise BadSettings(f"{origin}: environment must be production or another word", "Write it in full.")
    settings = Settings(target, _typed(table, "read_only", bool, origin), word, **limits)
    if settings.command_timeout <= settings.statement_timeout:
        way_out = f"That is {settings.statement_timeout:g} s; give it five more."
        raise BadSettings(f"{origin}: command_timeout must be longer than statement_timeout", way_out)
    return settings


def _seconds(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 3600:
        raise BadSettings(f"{what} must be a number of seconds from 0.01 to 3600", "Mend it there.")
    return float(value)


def _whole(value: object, what: str, most: int) -> int:
    digits = re.fullmatch(r" *0*([0-9]{1,9}) *", str(value))
    if not digits or not 1 <= int(digits[1]) <= most:
        raise BadSettings(f"{what} must be a whole number from 1 to {most}", "Mend it there.")
    return int(digits[1])


def _on_server(params: Params, source: str, environ: Env, table: Table, origin: str = "") -> Settings:
    filled = _filled(params, environ)
    for key in ("sslcert", "sslkey", "sslrootcert", "sslcrl"):
        # Later it would look like a server that cannot be reached.
        if filled.get("sslmode") != "disable" and not os.access(filled.get(key, "/"), os.R_OK):
            raise BadSettings(f"{source}: the file of {key} cannot be read", "Mend its path or its mode.")
    user = filled.get("user") or _os_user()
    database = filled.get("dbname", user)
    login = ":".join(quote(word, safe="") for word in (user, filled.get("password")) if word)
    query = "&".join(f"{key}={quote(filled[key], safe='')}" for key in _HANDED_ON if key in filled)
    dsn = f"postgresql://{login}@/{quote(database, safe='')}?{query}".removesuffix("?")
    server = Server(dsn, _hosts(filled, source), user, database, source)
    patience = min(int(filled.get("connect_timeout", "").strip() or 0), 3600)
    defaults = {"connect_timeout": float(patience)} if patience > 0 else {}
    return _settings(server, environ, {**defaults, **table}, origin)


def _filled(params: Params, environ: Env) -> Params:
    """Fill the gaps as libpq does, service first; an empty value fills a gap, but says nothing."""
    variables: Params = {}
    for name, key in _VARIABLES.items():
        variables |= _checked({key: environ[name]}, name) if name in environ else {}
    if environ.get("PGREQUIRESSL", "").startswith("1"):
        variables.setdefault("sslmode", "require")
    service = params.get("service") or variables.get("service")
    filled = variables | (_service(service, environ) if service else {}) | params
    return {key: value for key, value in filled.items() if value}


def _service(name: str, environ: Env) -> Params:
    own = environ.get("PGSERVICEFILE") or Path(environ.get("HOME") or Path.home(), ".pg_service.conf")
    for file in (Path(own), Path(environ.get("PGSYSCONFDIR") or "/etc/postgresql-common", "pg_service.conf")):
        try:
            text = "\n".join(line.strip() for line in ("\n" + file.read_text("utf-8")).split("\n"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            raise BadSettings(f"the service file {file} cannot be read", "Mend its permissions.") from None
        _, found, rest = text.partition(f"\n[{name}]\n")
        if found:
            lines = [line for line in rest.partition("\n[")[0].split("\n") if line and line[0] != "#"]
            pairs = [line.partition("=") for line in reversed(lines)]  # to libpq the first of two counts
            return _checked({key: value for key, _, value in pairs}, f"service “{name}” in {file}")
    raise BadSettings(f"there is no service “{name}”", f"Define it in {own}, or mend PGSERVICE or the URL.")


def _checked(params: Params, origin: str) -> Params:
    _refuse_unknown(params, _PARAMETERS, origin)
    for key, value in params.items():
        if re.search(r"[\0\ud800-\udfff]" if key in _SECRETS else r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", value):
            raise BadSettings(f"{origin}: {key} holds an impossible character", "Leave it out.")
        if not re.fullmatch(_PARAMETERS[key], value, re.DOTALL):
            words = _PARAMETERS[key].split("|")
            way_out = f"It may be {', '.join(words)}." if len(words) > 1 else "Mend it, or leave it out."
            raise BadSettings(f"{origin}: {key} has a value that cannot be honoured", way_out)
    return params


def _hosts(params: Params, source: str) -> tuple[Host, ...]:
    if "host" in params and "hostaddr" in params:
        raise BadSettings(f"{source}: host and hostaddr are both given", "Leave one out; mind PGHOSTADDR.")
    names = params.get("host", params.get("hostaddr", "")).split(",")
    ports = params.get("port", "").split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    if len(ports) != len(names):
        raise BadSettings(f"{source}: {len(ports)} ports for {len(names)} hosts", "Give one for each.")
    return tuple(_host(name, port, source) for name, port in zip(names, ports, strict=True))


def _host(name: str, digits: str, source: str) -> Host:
    port = _whole(digits or 5432, f"{source}: the port", 65535)
    if not name:
        beside = (one for one in _SOCKET_DIRECTORIES if os.access(f"{one}/.s.PGSQL.{port}", os.F_OK))
        return Host(next(beside, "localhost"), port)
    if not re.fullmatch(r"/.*|[\w%:-]{1,63}(\.[\w%:-]{1,63})*\.?", name, re.ASCII):
        raise BadSettings(f"{source}: a host is no name, address or directory", "Mend it there.")
    return Host(name, port)


def _os_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise BadSettings("this user of the machine has no name to log in with", "Set PGUSER.") from None


def _parse(url: str, origin: str) -> Params:
    """Take a URL apart as libpq does; no error quotes any of it, for all of it may be half a password."""
    problem = f"{origin} is not a PostgreSQL URL"
    if re.match(r"postgres(ql)?\+", url):
        raise BadSettings(problem, "Leave the driver out: postgresql:// instead of postgresql+asyncpg://.")
    if not url.startswith(("postgresql://", "postgres://")):
        raise BadSettings(problem, "Write it as postgresql://user@host:5432/database.")
    parts = _URL.fullmatch(url)
    if not parts or not url.isprintable() or " " in url:
        raise BadSettings(problem, "Percent-encode names and passwords: %40 for @, %2F for /, %20 for blank.")
    hosts = [re.findall(r"^(?:\[(.*)\]|([^:]*)):?(.*)$", one)[0] for one in parts["hosts"].split(",")]
    params = {key: parts[key] for key in ("user", "password", "dbname")}
    params["host"] = ",".join(ip or name for ip, name, _ in hosts)
    params["port"] = ",".join(port for *_, port in hosts)
    params = {key: _decoded(value, origin) for key, value in params.items() if value}
    for pair in filter(None, (parts["query"] or "").split("&")):
        key, value = (_decoded(text, origin) for text in pair.split("="))
        # `ssl=true` is how JDBC writes it; libpq reads it too
        params |= {"sslmode": "require"} if (key, value) == ("ssl", "true") else {key: value}
    return _checked(params, origin)


def _decoded(text: str, origin: str) -> str:
    try:  # the byte FF is never UTF-8
        return unquote_to_bytes(re.sub(r"%(?![0-9A-Fa-f]{2})", "%FF", text)).decode()
    except UnicodeError:
        raise BadSettings(f"{origin} has a % that encodes no character", "Write a plain % as %25.") from None
