"""Where the database is: the order of precedence, URLs as psql takes them, contexts, no password shown."""

from __future__ import annotations

import inspect
import itertools
import os
import pwd
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args
from hypothesis import given, settings
from hypothesis import strategies as st

from couponctl.errors import BadSettings
from couponctl.postgres import libpq
from couponctl.postgres.libpq import Host, Server
from couponctl.settings import Embedded, Settings, config_path, context_names, load

if TYPE_CHECKING:
    from collections.abc import Mapping

NOWHERE = Path("/nonexistent/config.toml")
ME = pwd.getpwuid(os.geteuid()).pw_name
SECRET = "S3cretPw"

CONTEXTS = """
[contexts.shop]
host = "from-context"
user = "ann"
dbname = "shop"

[contexts.prod]
url = "postgresql://bo@prod:6432/sales?connect_timeout=9"
read_only = true
environment = "Production"
pool_size = 20
lock_timeout = 2.5

[contexts.here]
embedded = true

[contexts.lab]
data_dir = "lab"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONTEXTS)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def no_postgres_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(libpq, "_SOCKET_DIRECTORIES", ())


def server(url: str, environ: Mapping[str, str] | None = None) -> Server:
    return on_server(load(environ={"COUPONCTL_URL": url, **(environ or {})}, config=NOWHERE))


def on_server(loaded: Settings) -> Server:
    assert isinstance(loaded.target, Server)
    return loaded.target


def asyncpg_reads(target: Server, host: Host) -> tuple[list[Any], Any]:
    """What asyncpg makes of one host of a target."""
    known = inspect.signature(_parse_connect_dsn_and_args).parameters
    nothing = dict.fromkeys(known.keys() - {"dsn", "host", "port"})
    addresses, params = _parse_connect_dsn_and_args(dsn=target.dsn, host=host.host, port=host.port, **nothing)
    return addresses, params


# Each row of the table below unsets more of these, from the top.
VARIABLES = {
    "COUPONCTL_URL": "postgres://variable",
    "COUPONCTL_CONTEXT": "shop",
    "PGHOST": "libpq",
    "COUPONCTL_DATA_DIR": "/data",
}


@pytest.mark.parametrize(
    ("flags", "unset", "where", "source"),
    [
        ({"url": "postgres://flag"}, 0, f"{ME}@flag:5432/{ME}", "--url"),
        ({"context": "prod"}, 0, "bo@prod:6432/sales", 'context "prod"'),
        ({}, 0, f"{ME}@variable:5432/{ME}", "COUPONCTL_URL"),
        ({}, 1, "ann@from-context:5432/shop", 'context "shop"'),
        ({}, 2, f"{ME}@libpq:5432/{ME}", "the PG* environment"),
        ({}, 3, "embedded (/data)", None),
        ({}, 4, "embedded", None),
    ],
)
def test_the_first_that_is_set_names_the_database(
    config: Path, flags: dict[str, Any], unset: int, where: str, source: str | None
) -> None:
    environ = dict(itertools.islice(VARIABLES.items(), unset, None))
    target = load(**flags, environ=environ, config=config).target
    assert target.where == where
    assert getattr(target, "source", None) == source


@pytest.mark.parametrize(
    ("name", "names_a_server"),
    [
        ("PGHOST", True),
        ("PGHOSTADDR", True),
        ("PGPORT", True),
        ("PGDATABASE", True),
        ("PGUSER", False),
        ("PGPASSWORD", False),
        ("PGSSLMODE", False),
        ("PGPASSFILE", False),
    ],
)
def test_only_a_variable_that_says_where_turns_the_embedded_server_off(
    name: str, names_a_server: bool
) -> None:
    value = {"PGHOSTADDR": "10.0.0.1", "PGPORT": "5433", "PGSSLMODE": "require"}.get(name, "x")
    target = load(environ={name: value}, config=NOWHERE).target
    assert isinstance(target, Server) is names_a_server
    assert load(environ={name: ""}, config=NOWHERE).target == Embedded()


URLS = [
    ("postgresql://ann@db:5433/shop", [("db", 5433)], "ann", None, "shop"),
    ("postgres://ann:S3cretPw@db", [("db", 5432)], "ann", SECRET, "ann"),
    ("postgres://", [("localhost", 5432)], ME, None, ME),
    ("postgres:///shop", [("localhost", 5432)], ME, None, "shop"),
    ("postgres://db/", [("db", 5432)], ME, None, ME),
    ("postgres://:S3cretPw@db", [("db", 5432)], ME, SECRET, ME),
    (
        "postgres://a%40corp:p%40%3A%2F%3F%25%23+%20@db/d%2Fe%3F",
        [("db", 5432)],
        "a@corp",
        "p@:/?%#+ ",
        "d/e?",
    ),
    ("postgres://ann:p:w?x#y@db/shop", [("db", 5432)], "ann", "p:w?x#y", "shop"),
    ("postgres://h1:1,h2:2/shop", [("h1", 1), ("h2", 2)], ME, None, "shop"),
    ("postgres://h1,h2:2/shop", [("h1", 5432), ("h2", 2)], ME, None, "shop"),
    ("postgres://[::1]:5433,h2/shop", [("::1", 5433), ("h2", 5432)], ME, None, "shop"),
    ("postgres://[fe80::1%25eth0]/shop", [("fe80::1%eth0", 5432)], ME, None, "shop"),
    ("postgres:///shop?host=/run/pg&port=5433", [("/run/pg", 5433)], ME, None, "shop"),
    ("postgres://%2Frun%2Fp%20g%3A%25:5433/shop", [("/run/p g:%", 5433)], ME, None, "shop"),
    ("postgres://?host=h1,h2&port=7", [("h1", 7), ("h2", 7)], ME, None, ME),
    ("postgres://h1/one?host=h2&dbname=two&user=bo&password=S3cretPw", [("h2", 5432)], "bo", SECRET, "two"),
    ("postgres://?hostaddr=10.0.0.1", [("10.0.0.1", 5432)], ME, None, ME),
    ("postgres://ünï@db/ça", [("db", 5432)], "ünï", None, "ça"),
]


@pytest.mark.parametrize(("url", "hosts", "user", "password", "database"), URLS, ids=[row[0] for row in URLS])
def test_asyncpg_reads_what_psql_would(
    url: str, hosts: list[tuple[str, int]], user: str, password: str | None, database: str
) -> None:
    target = server(url)
    assert target.hosts == tuple(Host(*host) for host in hosts)
    assert (target.user, target.database) == (user, database)
    for host in target.hosts:
        addresses, params = asyncpg_reads(target, host)
        socket = f"{host.host}/.s.PGSQL.{host.port}"
        assert addresses == [socket if host.host.startswith("/") else (host.host, host.port)]
        assert (params.user, params.password, params.database) == (user, password, database)


def test_what_asyncpg_understands_arrives_untouched(tmp_path: Path) -> None:
    url = "postgres://db?target_session_attrs=primary&options=-c%20search_path%3Dshop&sslmode=require&keepalives=1"
    _, params = asyncpg_reads(server(url), Host("db", 5432))
    assert params.target_session_attrs.value == "primary"
    assert params.server_settings == {"options": "-c search_path=shop"}
    assert params.sslmode.name == "require"
    (tmp_path / "pass").write_text(f"db:5432:*:*:{SECRET}\n")
    (tmp_path / "pass").chmod(0o600)
    _, params = asyncpg_reads(server(f"postgres://db?passfile={tmp_path}/pass"), Host("db", 5432))
    assert params.password == SECRET


def test_ssl_true_is_what_jdbc_calls_require() -> None:
    assert "sslmode=require" in server("postgres://db?ssl=true").dsn


def test_gaps_are_filled_from_the_environment_but_nothing_is_overridden() -> None:
    environ = {
        "PGHOST": "h",
        "PGPORT": "7",
        "PGUSER": "bo",
        "PGPASSWORD": SECRET,
        "PGDATABASE": "d",
        "PGSSLMODE": "allow",
    }
    filled = server("postgres://", environ)
    assert filled.where == "bo@h:7/d"
    assert filled.dsn == f"postgresql://bo:{SECRET}@/d?sslmode=allow"
    assert server("postgres://ann@db:5/shop?sslmode=require", environ).where == "ann@db:5/shop"
    assert server("postgres://h1,h2", environ).where == "bo@h1:5432,h2:5432/d", "libpq: many hosts, no PGPORT"


def test_the_old_pgrequiressl_is_not_silently_weakened() -> None:
    assert "sslmode=require" in server("postgres://db", {"PGREQUIRESSL": "1"}).dsn
    assert "sslmode=disable" in server("postgres://db", {"PGREQUIRESSL": "1", "PGSSLMODE": "disable"}).dsn


def test_the_socket_that_is_there_beats_localhost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpq, "_SOCKET_DIRECTORIES", ("/nonexistent", str(tmp_path)))
    (tmp_path / ".s.PGSQL.5433").touch()
    assert server("postgres://", {"PGPORT": "5433"}).hosts == (Host(str(tmp_path), 5433),)
    assert server("postgres://").hosts == (Host("localhost", 5432),)


REFUSED = [
    ("S3cretPw", "is not a PostgreSQL URL"),
    ("mysql://u:S3cretPw@db", "postgresql://user@host:5432/database"),
    ("POSTGRES://db", "postgresql://user@host"),
    ("postgresql+asyncpg://u:S3cretPw@db", "Leave the driver out"),
    ("host=db password=S3cretPw", "is not a PostgreSQL URL"),
    ("postgres://u:S3cretPw", "port has a value"),
    ("postgres://db:0", "the port"),
    ("postgres://db:%20", "the port"),
    ("postgres://db:65536", "the port"),
    ("postgres://db:١", "port"),
    ("postgres://db:" + "9" * 5000, "port"),
    ("postgres://u:S3cret/Pw@db/x", "%2F for /"),
    ("postgres://u:x/S3cretPw@db/x", "%2F for /"),
    ("postgres://u:x@S3cretPw@db/x", "%40 for @"),
    ("postgres://::1:5432/db", "not a PostgreSQL URL"),
    ("postgres://[::1/db", "not a PostgreSQL URL"),
    ("postgres://?password=S3cretPw@db", "%40 for @"),
    ("postgres://u:S3cretPw%zz@db", "%25"),
    ("postgres://u:S3cretPw%ff@db", "%25"),
    ("postgres://u:S3cretPw%00@db", "impossible character"),
    ("postgres://u%1b@db", "impossible character"),
    ("postgres://u:S3cretPw\x00@db", "not a PostgreSQL URL"),
    ("postgres://u:S3cretPw\n@db", "not a PostgreSQL URL"),
    ("postgres://u:S3cretPw\udcff@db", "not a PostgreSQL URL"),
    ("postgres://u:S3cret Pw@db", "%20 for blank"),
    ("postgres://db?sslmod=require", "Did you mean sslmode?"),
    ("postgres://db?password=x&S3cretPw=1", "unknown key"),
    ("postgres://db?sslmode", "Percent-encode"),
    ("postgres://db?options=-ca=b", "Percent-encode"),
    ("postgres://db?sslmode=", "verify-full"),
    ("postgres://db?sslmode=verify_full", "verify-full"),
    ("postgres://db?sslmode=REQUIRE", "verify-full"),
    ("postgres://db?sslrootcert=system", "sslrootcert"),
    ("postgres://db?sslrootcert=/nonexistent", "the file of sslrootcert cannot be read"),
    ("postgres://db?target_session_attrs=master", "primary"),
    ("postgres://db?channel_binding=require", "channel_binding"),
    ("postgres://db?gssencmode=require", "gssencmode"),
    ("postgres://db?require_auth=scram-sha-256", "require_auth"),
    ("postgres://db?requirepeer=postgres", "requirepeer"),
    ("postgres://db?hostaddr=10.0.0.1", "host and hostaddr"),
    ("postgres://?host=a,b&port=1,2,3", "3 ports for 2 hosts"),
    ("postgres://?host=@abstract", "Percent-encode"),
    ("postgres://%40abstract", "a host is not a name"),
    ("postgres://" + "a" * 64, "a host is not a name"),
    ("postgres://a..b", "a host is not a name"),
    ("postgres://db?connect_timeout=soon", "connect_timeout"),
    ("postgres://db?service=none", 'there is no service "none"'),
]


@pytest.mark.parametrize(("url", "words"), REFUSED, ids=[ascii(row[0])[:60] for row in REFUSED])
@pytest.mark.parametrize("by", ["COUPONCTL_URL", "--url"])
def test_a_bad_url_is_refused_in_one_sentence_without_quoting_it(url: str, words: str, by: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(url=url if by == "--url" else None, environ={"COUPONCTL_URL": url}, config=NOWHERE)
    if "holds a password" not in str(caught.value):
        assert words in str(caught.value)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert SECRET not in shown
    assert "S3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://u:{SECRET}@db",
        f"postgres://db?password={SECRET}",
        f"postgres://db?sslpassword={SECRET}",
    ],
)
def test_a_password_in_the_flag_is_refused_because_ps_shows_it(url: str) -> None:
    with pytest.raises(BadSettings, match=r"in `ps`.*COUPONCTL_URL, PGPASSWORD, ~/.pgpass") as caught:
        load(url=url, environ={}, config=NOWHERE)
    assert SECRET not in str(caught.value)


def test_no_repr_shows_the_password() -> None:
    loaded = load(
        environ={"COUPONCTL_URL": f"postgres://u:{SECRET}@h1,h2/d?sslpassword={SECRET}"}, config=NOWHERE
    )
    assert SECRET in on_server(loaded).dsn
    assert SECRET not in f"{loaded!r}{loaded}{loaded.target.where}"


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3), ("0", 5), ("-1", 5), ("", 5), (" 7 ", 7), ("99999", 3600)]
)
def test_libpqs_connect_timeout_counts_unless_it_waits_for_ever(text: str, seconds: float) -> None:
    loaded = load(environ={"PGHOST": "db", "PGCONNECT_TIMEOUT": text}, config=NOWHERE)
    assert loaded.limits.connect_timeout == seconds


SERVICES = f"""
# comment
[other]
host=no

[shop]
host=db1,db2
port=6432
  user=ann
dbname=50%off
password={SECRET}%1
host=not-the-first
#options=-x
"""


@pytest.mark.parametrize("place", ["PGSERVICEFILE", "HOME", "PGSYSCONFDIR"])
def test_a_service_is_found_where_libpq_looks(tmp_path: Path, place: str) -> None:
    name = ".pg_service.conf" if place == "HOME" else "pg_service.conf"
    (tmp_path / name).write_text(SERVICES)
    value = str(tmp_path / name) if place == "PGSERVICEFILE" else str(tmp_path)
    environ = {"HOME": "/nonexistent", place: value, "PGPASSWORD": "the service is nearer"}
    for target in (
        on_server(load(environ=environ | {"PGSERVICE": "shop"}, config=NOWHERE)),
        server("postgres://?service=shop", environ),
    ):
        assert target.where == "ann@db1:6432,db2:6432/50%off"
        _, params = asyncpg_reads(target, target.hosts[0])
        assert (params.password, params.database) == (f"{SECRET}%1", "50%off")
    assert server("postgres://bo@x:1?service=shop", environ).where == "bo@x:1/50%off"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hots=db", "Did you mean host?"),
        (f"password {SECRET}", "unknown key"),
        ("port=x", "port"),
        ("sslmode=no", "verify-full"),
    ],
)
def test_a_bad_service_file_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "services"
    file.write_text(f"[shop]\n{line}\n")
    with pytest.raises(BadSettings, match=f'service "shop" in {file}') as caught:
        load(environ={"PGSERVICE": "shop", "PGSERVICEFILE": str(file)}, config=NOWHERE)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_context_sets_limits_and_guards(config: Path) -> None:
    loaded = load(context="prod", environ={}, config=config)
    assert (loaded.read_only, loaded.environment) == (True, "production")
    limits = loaded.limits
    assert (limits.pool_size, limits.lock_timeout, limits.connect_timeout) == (20, 2.5, 9.0)
    assert load(context="prod", environ={"COUPONCTL_POOL_SIZE": "3"}, config=config).limits.pool_size == 3
    plain = load(environ={}, config=config)
    assert plain == Settings(Embedded())
    assert plain.limits.statement_timeout < plain.limits.command_timeout


def test_a_context_may_be_embedded(config: Path) -> None:
    environ = {"COUPONCTL_DATA_DIR": "/data", "PGHOST": "no"}
    assert load(context="here", environ=environ, config=config).target == Embedded(Path("/data"))
    assert load(context="lab", environ=environ, config=config).target == Embedded(config.parent / "lab")


def test_the_data_directory_is_made_absolute(tmp_path: Path) -> None:
    assert load(environ={"COUPONCTL_DATA_DIR": "~/x"}, config=NOWHERE).target == Embedded(tmp_path / "x")
    assert load(environ={"COUPONCTL_DATA_DIR": "x"}, config=NOWHERE).target == Embedded(Path.cwd() / "x")


BAD_CONTEXTS = [
    ("[contexts.x]\nhots = 'a'", "Did you mean host?"),
    ("[contexts.x]\nhost = 'a'\npasword = 'S3cretPw'", "Did you mean password?"),
    ("[context.x]\nhost = 'a'", "Did you mean contexts?"),
    ("contexts = 3", "must be a table"),
    ("[contexts]\nx = 3", "must be a table"),
    ("[contexts.x]\nread_only = true", "must name one database"),
    ("[contexts.x]\nhost = 'a'\nurl = 'postgres://a'", "must name one database"),
    ("[contexts.x]\nhost = 'a'\nembedded = true", "must name one database"),
    ("[contexts.x]\nhost = 3", "host must be a text"),
    ("[contexts.x]\nhost = 'a'\nport = 0", "the port"),
    ("[contexts.x]\nhost = 'a'\nport = true", "port must be a text"),
    ("[contexts.x]\nhost = 'a'\nread_only = 'yes'", "read_only must be true or false"),
    ("[contexts.x]\nhost = 'a'\nenvironment = 'prod'", "environment must be production"),
    ("[contexts.x]\nhost = 'a'\npool_size = 0", "pool_size must be a whole number from 1 to 1000"),
    ("[contexts.x]\nhost = 'a'\npool_size = true", "pool_size"),
    ("[contexts.x]\nhost = 'a'\npool_size = 2.5", "pool_size"),
    ("[contexts.x]\nhost = 'a'\nlock_timeout = '5s'", "lock_timeout must be a number of seconds"),
    ("[contexts.x]\nhost = 'a'\nlock_timeout = 0", "from 0.01 to 3600"),
    ("[contexts.x]\nhost = 'a'\nlock_timeout = nan", "from 0.01 to 3600"),
    ("[contexts.x]\nhost = 'a'\nstatement_timeout = 15", "command_timeout must be longer"),
    ("[contexts.x]\nhost = 'a'\nsslmode = 'yes'", "verify-full"),
    ("[contexts.x]\nurl = 'postgres://a@b@c'", "not a PostgreSQL URL"),
    ("[contexts.x]\npassword = S3cretPw", "config.toml cannot be read at line 2"),
]


@pytest.mark.parametrize(("text", "words"), BAD_CONTEXTS, ids=[row[0][:60] for row in BAD_CONTEXTS])
def test_a_bad_context_is_refused_naming_file_context_and_key(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    with pytest.raises(BadSettings) as caught:
        load(context="x", environ={}, config=config)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_unknown_context_lists_the_ones_there_are(config: Path) -> None:
    with pytest.raises(BadSettings, match=f'"shp" in {config}. There are: shop, prod, here, lab'):
        load(context="shp", environ={}, config=config)
    with pytest.raises(BadSettings, match=r"Write a table \[contexts.shp\]"):
        load(context="shp", environ={}, config=NOWHERE)


@pytest.mark.parametrize("line", [f"url = 'postgres://u:{SECRET}@db'", f"host = 'db'\npassword = '{SECRET}'"])
def test_a_password_in_the_config_is_for_its_owner_alone(tmp_path: Path, line: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[contexts.x]\n{line}\n")
    config.chmod(0o640)
    with pytest.raises(BadSettings, match=f"chmod 600 {config}") as caught:
        load(context="x", environ={}, config=config)
    assert SECRET not in str(caught.value)
    config.chmod(0o600)
    assert SECRET in on_server(load(context="x", environ={}, config=config)).dsn


def test_context_names_are_listed_for_completion(config: Path) -> None:
    assert context_names(config) == ("shop", "prod", "here", "lab")
    assert context_names(NOWHERE) == ()
    with pytest.raises(BadSettings, match="cannot be read"):
        context_names(config.parent)
    config.write_bytes(b"\xff")
    with pytest.raises(BadSettings, match="cannot be read"):
        context_names(config)


def test_two_flags_are_one_too_many() -> None:
    with pytest.raises(BadSettings, match="Give one of them"):
        load(url="postgres://db", context="shop", environ={}, config=NOWHERE)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PGHOST": "db", "PGPORT": "x"}, "PGPORT"),
        ({"PGHOST": "db", "PGSSLMODE": ""}, "PGSSLMODE: sslmode"),
        ({"PGHOST": "db", "PGCHANNELBINDING": "require"}, "PGCHANNELBINDING"),
        ({"PGHOST": "db", "PGHOSTADDR": "10.0.0.1"}, "PGHOSTADDR"),
        ({"PGHOST": "db", "PGPASSWORD": f"{SECRET}\udcff"}, "PGPASSWORD"),
        ({"COUPONCTL_POOL_SIZE": "many"}, "COUPONCTL_POOL_SIZE"),
        ({"COUPONCTL_DATA_DIR": "~nobody-of-this-name/x"}, "COUPONCTL_DATA_DIR"),
        ({"PGSERVICE": "x", "PGSERVICEFILE": "/nonexistent"}, "Define it in /nonexistent"),
    ],
)
def test_a_bad_variable_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings) as caught:
        load(environ=environ, config=NOWHERE)
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_config_is_where_the_platform_keeps_it() -> None:
    assert config_path().parts[-2:] == ("couponctl", "config.toml")


PIECES = st.sampled_from(
    [*"@:/?&=#%[],+ ", "%40", "%zz", "%00", "h", "1", "host=", "user=", "\n", "é", "\udc80"]
)
NOISE = st.lists(PIECES | st.characters(), max_size=6).map("".join)


@settings(max_examples=150, deadline=None, database=None)
@given(user=NOISE, before=NOISE, after=NOISE, rest=NOISE, by_flag=st.booleans())
def test_no_password_in_any_place_of_a_url_leaks(
    user: str, before: str, after: str, rest: str, by_flag: bool
) -> None:
    url = f"postgres://{user}:{before}{SECRET}{after}@{rest}"
    try:
        loaded = load(url=url if by_flag else None, environ={"COUPONCTL_URL": url}, config=NOWHERE)
        shown = f"{loaded!r}{loaded.target.where}"
    except BadSettings as refused:
        shown = "".join(traceback.format_exception(refused))
    assert SECRET not in shown


@settings(max_examples=100, deadline=None, database=None)
@given(st.text() | st.text().map("postgres://".__add__) | NOISE.map("postgresql://h?".__add__))
def test_any_text_is_a_url_or_bad_settings(url: str) -> None:
    try:
        target = on_server(load(url=url, environ={}, config=NOWHERE))
    except BadSettings:
        return
    for host in target.hosts:
        addresses, params = asyncpg_reads(target, host)
        assert (params.user, params.database) == (target.user, target.database)
        assert len(addresses) == 1


def test_importing_it_is_cheap() -> None:
    heavy = "{'click', 'sqlalchemy', 'asyncpg', 'platformdirs'}"
    script = f"import sys, couponctl.settings; print(*{heavy} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == ""
