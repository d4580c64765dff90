"""What a database that cannot or will not answer looks like: one sentence, and never the password."""

from __future__ import annotations

import json
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from couponctl.ledger import queries
from tests.cli.conftest import assert_discreet
from tests.support.sessions import PASSWORD, held, login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Context
    from tests.conftest import Couponctl, Role, Sql


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_refused_port(
    refused: Callable[..., str], closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@127.0.0.1:{closed_port}/sale")

    assert refused("list", exit_code=3, code="unavailable") == (
        f"The database cannot be reached: connection refused (shop@127.0.0.1:{closed_port}/sale). "
        "Check that the server runs and the address is right; `couponctl doctor` looks closer."
    )


def test_a_socket_that_is_not_there(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@/sale?host={tmp_path}")

    assert "no server listens on that socket" in refused("list", exit_code=3, code="unavailable")


def test_a_host_that_nobody_knows(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@nowhere.invalid/sale")

    assert "the host name is not known" in refused("list", exit_code=3, code="unavailable")


def test_a_claim_on_a_dead_server_is_an_answer_too(
    couponctl: Couponctl, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", f"postgresql://shop:{PASSWORD}@127.0.0.1:{closed_port}/sale")

    answer = couponctl("claim", "SPRING", "alice", "--json")

    document = json.loads(answer.out)
    assert (answer.exit_code, document["outcome"], document["status"]) == (3, "unavailable", 503)
    assert answer.err.count("\n") == 1
    assert_discreet(answer)


@pytest.mark.parametrize("place", ["the URL", "PGPASSWORD", "the passfile"])
def test_a_wrong_password(
    refused: Callable[..., str],
    role: Role,
    sql: Sql,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    url = role()
    user = urlsplit(url).username
    sql(f"ALTER ROLE {user} PASSWORD 'another'")
    passfile = tmp_path / "passfile"
    passfile.write_text(f"*:*:*:*:{PASSWORD}\n")
    passfile.chmod(0o600)
    if place != "the URL":
        url = url.replace(f":{PASSWORD}@", "@")
    if place == "the passfile":
        url += f"&passfile={passfile}"
    with monkeypatch.context() as environment:
        if place == "PGPASSWORD":
            environment.setenv("PGPASSWORD", PASSWORD)
        environment.setenv("COUPONCTL_URL", url)

        sentence = refused("list", exit_code=2, code="login_refused")

    assert sentence.startswith("The server refuses the login: ")


def test_an_unknown_role(
    refused: Callable[..., str], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", login(database_url, "nobody_at_all", PASSWORD))

    assert "no such role" in refused("list", exit_code=2, code="login_refused")


def test_an_unknown_database(
    refused: Callable[..., str], role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", role(database="nothing_at_all"))

    sentence = refused("list", exit_code=2, code="login_refused")

    assert "it has no database nothing_at_all. Check the database name" in sentence


def test_a_password_on_the_command_line_is_refused_unread(couponctl: Couponctl) -> None:
    answer = couponctl("-v", "--url", f"postgresql://shop:{PASSWORD}@127.0.0.1/sale", "list")

    assert answer.exit_code == 2
    assert answer.err.startswith("couponctl: --url holds a password, which everyone can read in `ps`. ")
    assert PASSWORD not in answer.err + answer.out


def test_a_database_without_tables_is_mended_by_db_init(
    refused: Callable[..., str],
    couponctl: Couponctl,
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", empty_database_url)
    for command in (("list",), ("show", "A"), ("create", "A", "1"), ("claim", "A", "alice"), ("verify",)):
        assert "`couponctl db init` creates the tables" in refused(
            *command, exit_code=2, code="schema_missing"
        )

    assert couponctl("db", "init").out == "created table coupons\ncreated table claims\n"
    assert couponctl("db", "init").out == (
        "table coupons exists already and was left as it is\n"
        "table claims exists already and was left as it is\n"
    )
    assert json.loads(couponctl("db", "init", "--json").out) == {
        "created": [],
        "found": ["coupons", "claims"],
    }
    assert couponctl("create", "A", "1").exit_code == 0


def test_a_role_without_rights_is_sent_to_the_doctor_who_names_the_grants(
    refused: Callable[..., str], couponctl: Couponctl, role: Role, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = role()
    monkeypatch.setenv("COUPONCTL_URL", url)
    for command in (("list",), ("create", "A", "1"), ("claim", "A", "alice"), ("verify",)):
        assert "names the GRANT" in refused(*command, exit_code=2, code="no_privilege")

    sick = couponctl("doctor")

    assert sick.exit_code == 2
    grants = re.findall(r"GRANT [A-Z, ]+ ON public\.\w+ TO \w+;", sick.out)
    assert [grant.partition(" TO ")[0] for grant in grants] == [
        "GRANT SELECT, INSERT ON public.claims",
        "GRANT SELECT, INSERT, UPDATE ON public.coupons",
    ]
    for grant in grants:
        sql(grant)
    assert couponctl("doctor").exit_code == 0
    assert couponctl("create", "A", "1").exit_code == 0
    assert couponctl("claim", "A", "alice").exit_code == 0


def test_a_read_only_server(
    refused: Callable[..., str], couponctl: Couponctl, role: Role, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = role()
    user = urlsplit(url).username
    sql(f"GRANT SELECT, INSERT, UPDATE ON coupons, claims TO {user}")
    sql(f"ALTER ROLE {user} SET default_transaction_read_only = on")
    sql("INSERT INTO coupons VALUES ('A', 1, 1)")
    monkeypatch.setenv("COUPONCTL_URL", url)

    assert couponctl("list").exit_code == 0
    for command in (("create", "B", "1"), ("claim", "A", "alice")):
        assert "Point couponctl at the primary." in refused(*command, exit_code=2, code="read_only_server")
    assert "✘  writes" in couponctl("doctor").out


def test_a_row_that_another_session_holds(
    refused: Callable[..., str], couponctl: Couponctl, context: Context, locked_coupon: str
) -> None:
    context("lock_timeout = 0.05")

    answer = couponctl("claim", locked_coupon, "alice", "--json")

    assert answer.exit_code == 4
    assert json.loads(answer.out)["outcome"] == "timed_out"
    assert couponctl("claim", locked_coupon, "alice").err == (
        "couponctl: The database took too long: the row was locked for more than 0.05 s; "
        "the work was rolled back. Try again; `couponctl stats` shows who waits for a lock.\n"
    )


def test_a_statement_that_takes_too_long(
    refused: Callable[..., str], context: Context, locked_tables: None
) -> None:
    context("lock_timeout = 5\nstatement_timeout = 0.05\ncommand_timeout = 1")

    sentence = refused("list", exit_code=4, code="timed_out")

    assert sentence.startswith("The database took too long: ")


def test_many_claims_on_a_held_row_say_how_far_they_came(
    couponctl: Couponctl, context: Context, locked_coupon: str
) -> None:
    context("lock_timeout = 0.05")

    answer = couponctl("claim", locked_coupon, "alice", "bob")

    assert (answer.exit_code, answer.out) == (4, "")
    assert answer.err.startswith("couponctl: 0 of 2 answered; the same command continues\n")
    assert "Try again" in answer.err


def test_a_server_without_a_free_slot(
    refused: Callable[..., str], role: Role, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUPONCTL_URL", role("CONNECTION LIMIT 0"))

    assert "it has no connection slot left" in refused("list", exit_code=3, code="unavailable")


@pytest.mark.parametrize("limits", ["amount < 5", "amount > 0 AND name <> 'B'"])
def test_a_rule_of_the_database_itself(
    couponctl: Couponctl, sql: Sql, refused: Callable[..., str], limits: str
) -> None:
    sql(f"ALTER TABLE coupons ADD CHECK ({limits})")

    assert "Nothing was written" in refused("create", "B", "7", exit_code=2, code="refused")


def test_what_a_trigger_says_is_passed_on(couponctl: Couponctl, sql: Sql) -> None:
    sql(
        "CREATE FUNCTION grumble() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not today'; END $$;\n"
        "CREATE TRIGGER grumble BEFORE INSERT ON coupons FOR EACH ROW EXECUTE FUNCTION grumble()"
    )

    quiet, document = couponctl("create", "B", "7"), couponctl("create", "B", "7", "--json")

    assert quiet.exit_code == document.exit_code == 2
    assert quiet.err == ('couponctl: The database refused the coupon "B": not today. Nothing was written.\n')
    assert json.loads(document.out)["error"]["code"] == "refused"


def test_what_nobody_expected_is_one_line_and_its_details_are_for_who_asks(
    couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def bug(*_: object) -> None:
        raise ZeroDivisionError(PASSWORD)

    monkeypatch.setattr(queries, "create_coupon", bug)

    quiet, document = couponctl("create", "B", "7"), couponctl("create", "B", "7", "--json")

    assert quiet.exit_code == document.exit_code == 1
    assert quiet.err == (
        "couponctl: Something went wrong. Please report it.\n"
        "couponctl: run it again with -v for the details of a bug report\n"
    )
    assert json.loads(document.out)["error"]["code"] == "error"
    assert_discreet(quiet, document)


@pytest.fixture
def locked_coupon(database_url: str, sql: Sql) -> Iterator[str]:
    """A coupon whose row another session has locked."""
    sql("INSERT INTO coupons VALUES ('HELD', 5, 5)")
    with held(database_url, "SELECT * FROM coupons FOR UPDATE"):
        yield "HELD"


@pytest.fixture
def locked_tables(database_url: str) -> Iterator[None]:
    with held(database_url, "LOCK TABLE coupons"):
        yield
