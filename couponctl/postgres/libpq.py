"""Servers as psql names them: URLs, the PG* environment and service files, parsed as libpq does.

All of it is resolved here, because asyncpg ignores PGSERVICE, fails on `%` in a service file and sends
unknown parameters to the server. A parameter that asyncpg cannot honour is dropped only if that weakens
nothing (keepalives), else refused (`channel_binding=require`).
"""

from __future__ import annotations

import errno
import os
import pwd
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlencode, urlsplit

from couponctl.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


Environment: TypeAlias = "Mapping[str, str]"
Params: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Host:
    """One address of a server."""

    host: str
    """A name, an IP address, or the directory of a Unix socket."""
    port: int
    listed_as: str = ""
    """Its name in the password file, if that is another."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if set(self.host) & set("/:") else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server: its hosts, and how to log in."""

    dsn: str = field(repr=False)
    """For `asyncpg.connect(dsn, host=..., port=...)`: everything but the hosts, the password included."""
    hosts: tuple[Host, ...]
    """Tried in this order."""
    user: str
    database: str
    source: str
    """Where it was named, in words: `--url`, `the PG* environment` and so on."""
    passfile: str = ""
    """The file that may hold the password if none was given; it need not exist."""

    @property
    def password(self) -> str | None:
        """The password given with the address, by PGPASSWORD or by a service."""
        password = urlsplit(self.dsn).password
        return None if password is None else unquote(password)

    @property
    def sslmode(self) -> str:
        return dict(self._parameters()).get("sslmode", "prefer")

    @property
    def session_attrs(self) -> str:
        """Which host fits, as libpq's target_session_attrs; of several, by default one that takes writes."""
        among_several = "read-write" if len(self.hosts) > 1 else "any"
        return dict(self._parameters()).get("target_session_attrs", among_several)

    @property
    def only_reads(self) -> bool:
        """Whether only hosts that take no writes fit."""
        return self.session_attrs in {"read-only", "standby"}

    @property
    def where(self) -> str:
        """The server in one line, without the password."""
        return f"{self.user}@{','.join(map(str, self.hosts))}/{self.database}"

    @property
    def public_url(self) -> str:
        """The server as a URL for psql and other programs, without the password."""
        hosts = ",".join(f"{quote(one.host, safe='[]:')}:{one.port}" for one in self.hosts)
        query = urlencode({key: value for key, value in self._parameters() if key not in _SECRETS})
        path = f"{quote(self.database, safe='')}{'?' if query else ''}{query}"
        return f"postgresql://{quote(self.user, safe='')}@{hosts}/{path}"

    @property
    def libpq_environment(self) -> dict[str, str]:
        """The server as environment variables for psql: arguments would be visible to everyone in `ps`."""
        variables = {key: variable for variable, key in _VARIABLES.items()}
        environment = {variables[key]: value for key, value in self._parameters() if variables[key]}
        if self.password is not None:
            environment["PGPASSWORD"] = self.password
        return environment | {
            "PGHOST": ",".join(one.host for one in self.hosts),
            "PGPORT": ",".join(str(one.port) for one in self.hosts),
            "PGUSER": self.user,
            "PGDATABASE": self.database,
        }

    def _parameters(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.dsn).query)


_HANDED_ON = {
    **dict.fromkeys(("options", "passfile", "sslcert", "sslkey", "sslpassword", "sslcrl"), ".*"),
    "krbsrvname": ".*",
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), r"(TLSv1(\.[123])?)?"),
    "sslmode": "disable|allow|prefer|require|verify-ca|verify-full",
    "sslnegotiation": "postgres|direct",
    "sslrootcert": "(?!system$).*",  # asyncpg takes `system` for the name of a file
    "target_session_attrs": "any|read-write|read-only|primary|standby|prefer-standby",
    "gsslib": "gssapi|sspi",
}
"""What asyncpg understands, and the values that it takes."""

_KEPT_BACK = {
    **dict.fromkeys(("host", "hostaddr", "user", "password", "dbname", "service"), ".*"),
    **dict.fromkeys(("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"), ".*"),
    **dict.fromkeys(("tcp_user_timeout", "client_encoding", "sslcompression", "max_protocol_version"), ".*"),
    # couponctl sets these itself: drills recognise their connections by application_name
    **dict.fromkeys(("application_name", "fallback_application_name"), ".*"),
    **dict.fromkeys(("channel_binding", "gssencmode"), "disable|prefer"),
    "port": "[0-9, ]*",
    "connect_timeout": " *-?[0-9]{0,9} *",
    **dict.fromkeys(("require_auth", "requirepeer", "sslcrldir", "sslcertmode", "sslsni"), ""),
    **dict.fromkeys(("gssdelegation", "load_balance_hosts", "min_protocol_version", "replication"), ""),
}
"""libpq's other parameters: handled here, droppable, or limited to values that ask nothing of asyncpg."""

_PARAMETERS = _KEPT_BACK | _HANDED_ON
_SECRETS = {"password", "sslpassword"}
_ODD = {"dbname": "PGDATABASE", "connect_timeout": "PGCONNECT_TIMEOUT", "sslpassword": "", "replication": ""}
_VARIABLES = {_ODD.get(key, f"PG{key.replace('_', '').upper()}"): key for key in _PARAMETERS}
"""The variable of each parameter, by libpq's usual naming, even if libpq has none; two have none."""

_SOCKET_DIRECTORIES = ("/run/postgresql", "/var/run/postgresql", "/tmp")  # noqa: S108 - where libpq looks

# Unlike libpq, this refuses an @ after the host: it marks the end of a password with a raw @ or / in it.
_HOST = r"(?:\[[^][/?@]+\]|[^][:,/?@]*)(?::[^][:,/?@]*)?"
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:/?@]*)(?::(?P<password>[^/@]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<dbname>[^?@]*))?(?:\?(?P<query>(?:[^@&=]*=[^@&=]*(?:&|$))*))?"
)


def server_of(params: Params, source: str, environ: Environment) -> tuple[Server, float | None]:
    """Return the server that these parameters name, and the connect timeout in seconds, if one is set.

    Missing ones come from the service, then the PG* variables, then libpq's defaults. Raises BadSettings.
    """
    filled = _filled(params, environ)
    if not _certificates_in_reach(environ):
        filled = _without_them(filled, environ)
    for key in ("sslcert", "sslkey", "sslrootcert", "sslcrl"):
        # Later, this would look like an unreachable server.
        if filled.get("sslmode") != "disable" and not os.access(filled.get(key, "/"), os.R_OK):
            raise BadSettings(f"{source}: the file of {key} cannot be read", "Correct its path or its mode.")
    user = filled.get("user") or _os_user()
    database = filled.get("dbname", user)
    login = ":".join(quote(word, safe="") for word in (user, filled.get("password")) if word)
    query = "&".join(f"{key}={quote(filled[key], safe='')}" for key in _HANDED_ON if key in filled)
    dsn = f"postgresql://{login}@/{quote(database, safe='')}?{query}".removesuffix("?")
    patience = min(int(filled.get("connect_timeout", "").strip() or 0), 3600)
    passfile = filled.get("passfile") or _own_file(".pgpass", environ)
    server = Server(dsn, _hosts(filled, source), user, database, source, passfile)
    return server, float(patience) if patience > 0 else None


def server_at(url: str, source: str, password: str | None = None) -> Server:
    """Return the server at a URL, ignoring the environment. Raises BadSettings."""
    params = parsed(url, source)
    server, _ = server_of(params if password is None else {**params, "password": password}, source, {})
    return server


def own_files(environ: Environment) -> tuple[Path, ...]:
    """Return the paths of the user's password file and service file."""
    named = {"PGPASSFILE": ".pgpass", "PGSERVICEFILE": ".pg_service.conf"}
    found = (environ.get(name) or _own_file(usual, environ) for name, usual in named.items())
    return tuple(Path(file) for file in found if file)


def _own_file(name: str, environ: Environment) -> str:
    """Return the path of a file in the user's home, existing or not; empty for a user without a home."""
    home = environ.get("HOME")
    if not home:
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            return ""
    return os.path.join(home, name)  # noqa: PTH118 - a path as libpq writes it


def _certificates_in_reach(environ: Environment) -> bool:
    """Whether the user's certificates can be looked for; in a missing directory, there are just none."""
    try:
        os.stat(_own_file(".postgresql/postgresql.crt", environ))  # noqa: PTH116 - its errno is wanted
    except OSError as exc:
        return exc.errno in {errno.ENOENT, errno.ENOTDIR}
    return True


def _without_them(params: Params, environ: Environment) -> Params:
    """Disable TLS, as libpq does here and the driver does not. Raises BadSettings if sslmode requires TLS."""
    if params.get("sslmode", "prefer") in {"disable", "allow", "prefer"}:
        return params | {"sslmode": "disable"}
    directory = _own_file(".postgresql", environ)
    raise BadSettings(f"{directory} cannot be searched for certificates", "Correct its permissions, or HOME.")


def holds_secret(params: Params) -> bool:
    return bool(_SECRETS & params.keys())


def _filled(params: Params, environ: Environment) -> Params:
    """Fill in missing parameters as libpq does, service first; an empty one is kept as given, then unset."""
    variables: Params = {}
    for name, key in _VARIABLES.items():
        variables |= checked({key: environ[name]}, name) if name in environ else {}
    if environ.get("PGREQUIRESSL", "").startswith("1"):
        variables.setdefault("sslmode", "require")
    service = params.get("service") or variables.get("service")
    filled = variables | (_service(service, environ) if service else {}) | params
    return {key: value for key, value in filled.items() if value}


def _service(name: str, environ: Environment) -> Params:
    own = environ.get("PGSERVICEFILE") or _own_file(".pg_service.conf", environ)
    for file in (Path(own), Path(environ.get("PGSYSCONFDIR") or "/etc/postgresql-common", "pg_service.conf")):
        if not _is_there(file):
            continue
        try:
            text = "\n".join(line.strip() for line in ("\n" + file.read_text("utf-8")).split("\n"))
        except (OSError, ValueError):
            raise BadSettings(f"the service file {file} cannot be read", "Correct its permissions.") from None
        _, found, rest = text.partition(f"\n[{name}]\n")
        if found:
            lines = [line for line in rest.partition("\n[")[0].split("\n") if line and line[0] != "#"]
            pairs = [line.partition("=") for line in reversed(lines)]  # in libpq, the first of two counts
            return checked({key: value for key, _, value in pairs}, f'service "{name}" in {file}')
    raise BadSettings(
        f'there is no service "{name}"', f"Define it in {own}, or correct PGSERVICE or the URL."
    )


def _is_there(file: Path) -> bool:
    try:
        file.stat()
    except (OSError, ValueError):  # in libpq, a file in a closed directory is missing, too
        return False
    return True


def checked(params: Params, origin: str) -> Params:
    refuse_unknown(params, _PARAMETERS, origin)
    for key, value in params.items():
        if re.search(r"[\0\ud800-\udfff]" if key in _SECRETS else r"[\0-\x1f\x7f-\x9f\ud800-\udfff]", value):
            raise BadSettings(f"{origin}: {key} holds an impossible character", "Leave it out.")
        if not re.fullmatch(_PARAMETERS[key], value, re.DOTALL):
            words = _PARAMETERS[key].split("|")
            way_out = f"It may be {', '.join(words)}." if len(words) > 1 else "Correct it, or leave it out."
            raise BadSettings(f"{origin}: {key} has a value that couponctl cannot use", way_out)
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
    port = whole_number(digits or 5432, f"{source}: the port", 65535)
    if not name:
        beside = (one for one in _SOCKET_DIRECTORIES if os.access(f"{one}/.s.PGSQL.{port}", os.F_OK))
        return Host(next(beside, "localhost"), port)
    if not re.fullmatch(r"/.*|[\w%:-]{1,63}(\.[\w%:-]{1,63})*\.?", name, re.ASCII):
        raise BadSettings(f"{source}: a host is not a name, address or directory", "Correct it there.")
    return Host(name, port)


def _os_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise BadSettings("this user of the machine has no name to log in with", "Set PGUSER.") from None


def parsed(url: str, origin: str) -> Params:
    """Parse a URL as libpq does. Raises BadSettings, quoting nothing: any part may be half a password."""
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
        # `ssl=true` is JDBC's spelling, which libpq reads, too
        params |= {"sslmode": "require"} if (key, value) == ("ssl", "true") else {key: value}
    return checked(params, origin)


def _decoded(text: str, origin: str) -> str:
    try:  # the byte FF is never UTF-8
        return unquote_to_bytes(re.sub(r"%(?![0-9A-Fa-f]{2})", "%FF", text)).decode()
    except UnicodeError:
        raise BadSettings(f"{origin} has a % that encodes no character", "Write a plain % as %25.") from None


def refuse_unknown(keys: Iterable[str], known: Collection[str], origin: str) -> None:
    for key in keys:
        if key not in known:  # not quoted: it may be half a password, `?password=a&b=`
            closest = get_close_matches(key, known, 1, 0)[0]
            raise BadSettings(f"{origin} has an unknown key", f"Did you mean {closest}?")


def whole_number(value: object, what: str, most: int) -> int:
    digits = re.fullmatch(r" *0*([0-9]{1,9}) *", str(value))
    if not digits or not 1 <= int(digits[1]) <= most:
        raise BadSettings(f"{what} must be a whole number from 1 to {most}", "Correct it there.")
    return int(digits[1])
