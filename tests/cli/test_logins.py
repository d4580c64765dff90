"""Why a login failed: each reason has its own sentence, way out and stage, whatever language it came in."""

from __future__ import annotations

import json
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.fake_servers import Certificates, greeting, make_certificates, refusing
from tests.support.sessions import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Couponctl

Stages = dict[str, str]

NO_ENTRY = refusing("28000", 'kein pg_hba.conf-Eintrag für Host "127.0.0.1"', "ClientAuthentication")
WANTS_CERTIFICATE = refusing("28000", "Verbindung erfordert ein Zertifikat", "ClientAuthentication")
NO_ROLE = refusing("28000", "Rolle »shop« existiert nicht", "InitializeSessionUserId")
WRONG_PASSWORD = refusing("28P01", "Passwort-Authentifizierung fehlgeschlagen", "auth_failed")
NO_DATABASE = refusing("3D000", "Datenbank »sale« existiert nicht", "InitPostgres")
NO_CONNECT = refusing("42501", "keine Berechtigung für Datenbank »sale«", "CheckMyDatabase")
CLOSED = refusing("55000", "Datenbank »sale« akzeptiert keine Verbindungen", "CheckMyDatabase")
FULL = refusing("53300", "tut mir leid, schon zu viele Verbindungen", "InitProcess")
STARTING = refusing("57P03", "das Datenbanksystem startet", "ProcessStartupPacket")
ODD = refusing("28000", "etwas anderes", "elsewhere")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl in PATH to make certificates with")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Names a server on this machine by its port, with these parameters."""

    def at(port: int, query: str = "", *, host: str = "localhost") -> None:
        monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@{host}:{port}/sale?{query}")

    return at


@pytest.fixture
def stages(couponctl: Couponctl) -> Callable[[int], Stages]:
    """What doctor says of each stage, once it has ended with this exit code."""

    def stages(exit_code: int) -> Stages:
        plain, document = couponctl("doctor"), couponctl("doctor", "--json")
        assert plain.exit_code == document.exit_code == exit_code, plain
        assert "couponctl doctor" not in plain.out + document.out
        assert plain.err == document.err == ""
        said = json.loads(document.out)
        assert not said["ok"]
        (wrong,) = [check for check in said["checks"] if check["state"] == "wrong"]
        assert wrong["detail"]
        assert wrong["remedy"]
        return {check["subject"]: check["state"] for check in said["checks"]}

    return stages


def assert_ends_at(stages: Stages, stage: str) -> None:
    """All before it is passed, and nothing behind it is green."""
    names = list(stages)
    at = names.index(stage)
    assert {stages[name] for name in names[:at]} <= {"ok"}
    assert stages[stage] == "wrong"
    assert {stages[name] for name in names[at + 1 :]} == {"skipped"}
    assert {"settings", "guards", "tls", "login", "database", "tables", "types", "rights"} <= set(names)
    assert {"policies", "limits", "durability"} <= set(names)


LOGINS = {
    "no line in pg_hba.conf": (
        NO_ENTRY,
        2,
        "login_refused",
        "its pg_hba.conf does not admit role shop",
        "login",
    ),
    "a client certificate": (WANTS_CERTIFICATE, 2, "login_refused", "requires a client certificate", "tls"),
    "no role": (NO_ROLE, 2, "login_refused", "there is no role shop", "login"),
    "a wrong password": (WRONG_PASSWORD, 2, "login_refused", "wrong password for role shop", "login"),
    "no database": (NO_DATABASE, 2, "login_refused", "it has no database sale", "database"),
    "no CONNECT": (NO_CONNECT, 2, "login_refused", "GRANT CONNECT ON DATABASE sale TO shop;", "database"),
    "a closed database": (CLOSED, 2, "login_refused", "or nobody may now", "database"),
    "a full server": (FULL, 3, "unavailable", "it has no connection slot left", "server"),
    "a server that starts": (STARTING, 3, "unavailable", "it is starting up", "server"),
    "an unknown reason": (ODD, 2, "login_refused", "by role, password, database, certificate", "login"),
}


@pytest.mark.parametrize(("answer", "exit_code", "code", "words", "stage"), LOGINS.values(), ids=[*LOGINS])
def test_what_the_server_says_instead_of_a_login(
    refused: Callable[..., str],
    stages: Callable[[int], Stages],
    at: Callable[..., None],
    answer: bytes,
    exit_code: int,
    code: str,
    words: str,
    stage: str,
) -> None:
    with greeting(answer) as port:
        at(port)

        assert words in refused("list", exit_code=exit_code, code=code)
        assert_ends_at(stages(exit_code), stage)


def test_these_reasons_are_different_sentences(refused: Callable[..., str], at: Callable[..., None]) -> None:
    said = set()
    for answer, exit_code, code, *_ in LOGINS.values():
        with greeting(answer) as port:
            at(port)
            said.add(refused("list", exit_code=exit_code, code=code).replace(str(port), ""))

    assert len(said) == len(LOGINS) - 1, "only the two that keep a role out of a database are alike"


@pytest.mark.parametrize(
    "command", ["list", "show A", "create A 1", "claim A u", "verify", "stats", "db init"]
)
def test_every_command_says_so(couponctl: Couponctl, at: Callable[..., None], command: str) -> None:
    with greeting(NO_DATABASE) as port:
        at(port)
        answer = couponctl(*command.split())

    assert answer.exit_code == 2
    assert "it has no database sale" in answer.err


UNTRUSTED = {
    "another authority": ("localhost", "stranger", "sslrootcert or PGSSLROOTCERT"),
    "another name": ("127.0.0.1", "authority", "Connect by the name that the certificate has"),
}


@pytest.mark.parametrize(("host", "authority", "way_out"), UNTRUSTED.values(), ids=[*UNTRUSTED])
def test_a_certificate_that_cannot_be_trusted(
    refused: Callable[..., str],
    stages: Callable[[int], Stages],
    at: Callable[..., None],
    certificates: Certificates,
    host: str,
    authority: str,
    way_out: str,
) -> None:
    with greeting(WRONG_PASSWORD, certificates) as port:
        at(port, f"sslmode=verify-full&sslrootcert={getattr(certificates, authority)}", host=host)

        sentence = refused("list", exit_code=2, code="misconfigured")
        assert_ends_at(stages(2), "tls")

    assert sentence.startswith("The server's certificate is not trusted: ")
    assert way_out in sentence


def test_a_certificate_that_can_be_trusted_lets_the_login_go_on(
    refused: Callable[..., str], at: Callable[..., None], certificates: Certificates
) -> None:
    with greeting(WRONG_PASSWORD, certificates) as port:
        at(port, f"sslmode=verify-full&sslrootcert={certificates.authority}")

        assert "wrong password" in refused("list", exit_code=2, code="login_refused")


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_server_without_tls_where_it_is_wanted(
    refused: Callable[..., str],
    stages: Callable[[int], Stages],
    at: Callable[..., None],
    certificates: Certificates,
    mode: str,
) -> None:
    with greeting(WRONG_PASSWORD) as port:
        at(port, f"sslmode={mode}&sslrootcert={certificates.authority}")

        assert f"offers no TLS, and sslmode={mode} requires it" in refused(
            "list", exit_code=2, code="misconfigured"
        )
        assert_ends_at(stages(2), "tls")


def test_a_server_that_wants_a_certificate_is_believed_before_the_fallback_to_plain_text(
    refused: Callable[..., str], at: Callable[..., None], certificates: Certificates
) -> None:
    with greeting(NO_ENTRY, certificates, over_tls=WANTS_CERTIFICATE) as port:
        at(port)

        assert "requires a client certificate" in refused("list", exit_code=2, code="login_refused")


WAYS = {
    "sslmode=disable": "from this address without TLS",
    "sslmode=require": "from this address over TLS",
    "sslmode=prefer": "from this address, with TLS or without",
}


@pytest.mark.parametrize(("query", "way"), WAYS.items(), ids=[*WAYS])
def test_who_is_not_admitted_hears_which_way_was_tried(
    refused: Callable[..., str], at: Callable[..., None], certificates: Certificates, query: str, way: str
) -> None:
    with greeting(NO_ENTRY, certificates) as port:
        at(port, query)

        assert way in refused("list", exit_code=2, code="login_refused")


def test_a_client_certificate_that_the_server_does_not_accept(
    refused: Callable[..., str],
    stages: Callable[[int], Stages],
    at: Callable[..., None],
    certificates: Certificates,
) -> None:
    key = certificates.stranger.with_suffix(".key")
    with greeting(WRONG_PASSWORD, certificates, wants=True) as port:
        at(port, f"sslmode=require&sslcert={certificates.stranger}&sslkey={key}")

        assert "does not accept the client certificate" in refused("list", exit_code=2, code="login_refused")
        assert_ends_at(stages(2), "tls")


@pytest.mark.parametrize("certificate", ["certificate", "key"])
def test_files_that_do_not_belong_together(
    refused: Callable[..., str],
    stages: Callable[[int], Stages],
    at: Callable[..., None],
    certificates: Certificates,
    certificate: str,
) -> None:
    key = certificates.stranger.with_suffix(".key")
    with greeting(WRONG_PASSWORD, certificates) as port:
        at(port, f"sslmode=require&sslcert={getattr(certificates, certificate)}&sslkey={key}")

        assert "another certificate's key" in refused("list", exit_code=2, code="misconfigured")
        assert_ends_at(stages(2), "tls")


def test_a_server_that_never_answers_is_no_closed_port(
    stages: Callable[[int], Stages], monkeypatch: pytest.MonkeyPatch, at: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        at(mute.getsockname()[1], "connect_timeout=1")

        assert_ends_at(stages(3), "server")


def test_settings_that_cannot_be_read_are_the_first_stage(
    stages: Callable[[int], Stages], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", "mysql://db")

    assert_ends_at(stages(2), "settings")


def test_a_name_that_nobody_knows(stages: Callable[[int], Stages], at: Callable[..., None]) -> None:
    at(5432, host="nowhere.invalid")

    assert_ends_at(stages(3), "name")


def test_a_private_server_that_cannot_start_is_a_finding_too(
    stages: Callable[[int], Stages], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COUPONCTL_URL")
    (tmp_path / "file").touch()
    monkeypatch.setenv("COUPONCTL_DATA_DIR", str(tmp_path / "file"))

    assert_ends_at(stages(2), "settings")
