"""Tables where the role's search_path does not find them, and rights that it lacks: doctor is never green."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.sessions import execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Couponctl, Role, Sql


@pytest.fixture
def shop(sql: Sql) -> None:
    """The tables are in a schema of their own, which is on nobody's search_path."""
    sql("CREATE SCHEMA shop;\nALTER TABLE coupons SET SCHEMA shop;\nALTER TABLE claims SET SCHEMA shop")


@pytest.fixture
def clerk(shop: None, role: Role, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> str:
    """Logs in as a role with all rights on the tables, but its search_path does not find them."""
    url = role()
    name = str(urlsplit(url).username)
    sql(
        f"GRANT USAGE ON SCHEMA shop TO {name};\n"
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA shop TO {name};\n"
        f"GRANT CREATE ON SCHEMA public TO {name}"
    )
    monkeypatch.setenv("COUPONCTL_URL", url)
    return name


def checks(couponctl: Couponctl) -> dict[str, Any]:
    return {check["subject"]: check for check in json.loads(couponctl("doctor", "--json").out)["checks"]}


def test_doctor_finds_them_and_names_both_ways_out(couponctl: Couponctl, clerk: str, sql: Sql) -> None:
    answer = couponctl("doctor")
    found = checks(couponctl)["tables"]

    assert answer.exit_code == 2
    assert "db init" not in answer.out
    assert found["detail"] == (
        f"coupons and claims are in schema shop, which the search_path of role {clerk} does not have"
    )
    assert found["remedy"] == (
        f"ALTER ROLE {clerk} SET search_path = shop; or add ?options=-csearch_path%3Dshop to the URL"
    )
    sql(found["remedy"].partition(" or ")[0])
    assert couponctl("doctor").exit_code == 0
    assert couponctl("create", "A", "1").exit_code == 0


def test_the_option_in_the_url_finds_them_too(
    couponctl: Couponctl, clerk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (option,) = re.findall(r"\?(options=\S+)", checks(couponctl)["tables"]["remedy"])
    monkeypatch.setenv("COUPONCTL_URL", f"{os.environ['COUPONCTL_URL']}&{option}")

    assert couponctl("doctor").exit_code == 0
    assert couponctl("create", "A", "1").exit_code == 0


def test_no_second_pair_is_made_unasked(
    refused: Callable[..., str], couponctl: Couponctl, clerk: str, sql: Sql
) -> None:
    sentence = refused("db", "init", exit_code=2, code="misconfigured")

    assert sentence.startswith("coupons and claims are in schema shop, which the search_path of role")
    assert "ALTER ROLE" in sentence
    assert sql("SELECT to_regclass('public.coupons')")[0][0] is None


def test_a_second_pair_is_made_where_the_operator_says(couponctl: Couponctl, clerk: str, sql: Sql) -> None:
    answer = couponctl("db", "init", "--schema", "public")

    assert (answer.exit_code, answer.out) == (0, "created table coupons\ncreated table claims\n")
    assert sql("SELECT to_regclass('public.claims')")[0][0] == "claims"
    assert couponctl("db", "init", "--schema", "public").exit_code == 0


def test_a_schema_that_is_not_there(refused: Callable[..., str]) -> None:
    assert "CREATE SCHEMA nowhere;" in refused(
        "db", "init", "--schema", "nowhere", exit_code=2, code="misconfigured"
    )


def test_a_schema_that_the_role_may_not_enter(couponctl: Couponctl, clerk: str, sql: Sql) -> None:
    sql(f"ALTER ROLE {clerk} SET search_path = shop;\nREVOKE USAGE ON SCHEMA shop FROM {clerk}")

    found = checks(couponctl)["tables"]

    assert found["state"] == "wrong"
    assert found["remedy"] == f"GRANT USAGE ON SCHEMA shop TO {clerk};"
    assert "db init" not in couponctl("doctor").out
    sql(found["remedy"])
    assert couponctl("doctor").exit_code == 0


def test_a_name_that_wants_quotes(couponctl: Couponctl, clerk: str, sql: Sql) -> None:
    sql('ALTER SCHEMA shop RENAME TO "Shop 1"')
    sql(checks(couponctl)["tables"]["remedy"].partition(" or ")[0])
    assert couponctl("doctor").exit_code == 0

    sql(f'REVOKE UPDATE ON "Shop 1".coupons FROM {clerk}')
    remedy = checks(couponctl)["rights"]["remedy"]

    assert remedy == f'GRANT UPDATE ON "Shop 1".coupons TO {clerk};'
    sql(remedy)
    assert couponctl("doctor").exit_code == 0


def test_other_tables_of_that_name_are_not_taken_for_ours(couponctl: Couponctl, sql: Sql) -> None:
    sql("CREATE SCHEMA other;\nCREATE TABLE other.coupons (id int);\nCREATE TABLE other.claims (id int)")
    sql("DROP TABLE claims, coupons")

    assert couponctl("db", "init").exit_code == 0
    assert couponctl("doctor").exit_code == 0


def test_a_search_path_without_any_schema(
    refused: Callable[..., str], couponctl: Couponctl, clerk: str, sql: Sql
) -> None:
    sql(f"DROP SCHEMA shop CASCADE;\nALTER ROLE {clerk} SET search_path = nowhere")

    assert "finds no schema" in refused("db", "init", exit_code=2, code="misconfigured")
    assert "finds no schema" in checks(couponctl)["tables"]["detail"]


def test_complete_tables_want_no_right_to_make_some(couponctl: Couponctl, clerk: str, sql: Sql) -> None:
    sql(f"ALTER ROLE {clerk} SET search_path = shop;\nREVOKE CREATE ON SCHEMA public FROM {clerk}")
    sql(f"ALTER ROLE {clerk} SET default_transaction_read_only = on")

    answer = couponctl("db", "init")

    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.count("exists already and was left as it is") == 2


MISSING = {
    "USAGE": "REVOKE USAGE ON SCHEMA shop FROM {}",
    "SELECT coupons": "REVOKE SELECT ON shop.coupons FROM {}",
    "INSERT coupons": "REVOKE INSERT ON shop.coupons FROM {}",
    "UPDATE coupons": "REVOKE UPDATE ON shop.coupons FROM {}",
    "SELECT claims": "REVOKE SELECT ON shop.claims FROM {}",
    "INSERT claims": "REVOKE INSERT ON shop.claims FROM {}",
    "the sequence": "ALTER TABLE shop.claims ADD id SERIAL",
    "USAGE of the owner": "ALTER TABLE shop.coupons OWNER TO pg_monitor",
    "a policy": "ALTER TABLE shop.claims ENABLE ROW LEVEL SECURITY",
}
COMMANDS = ("create B 1", "claim A u", "claim A w x y", "list", "show A")


@pytest.mark.parametrize("missing", MISSING.values(), ids=[*MISSING])
def test_where_a_right_is_missing_doctor_names_the_remedy_and_it_is_enough(
    couponctl: Couponctl, clerk: str, sql: Sql, missing: str
) -> None:
    sql(f"ALTER ROLE {clerk} SET search_path = shop;\nINSERT INTO shop.coupons VALUES ('A', 9, 9)")
    sql(missing.format(clerk))
    codes = {command: couponctl(*command.split()) for command in (*COMMANDS, "verify", "stats")}
    sick = {command for command, answer in codes.items() if answer.exit_code == 2}
    assert sick or "claims ENABLE" in missing

    wrong = [check for check in checks(couponctl).values() if check["state"] == "wrong"]
    assert wrong
    while wrong:
        for remedy in {check["remedy"] for check in wrong}:
            sql(remedy)
        left = [check for check in checks(couponctl).values() if check["state"] == "wrong"]
        assert left != wrong
        wrong = left

    for command in sick:
        assert couponctl(*command.split()).exit_code in {0, 11, 13}, command


def test_it_is_all_of_the_sales_rights(couponctl: Couponctl, clerk: str, database_url: str) -> None:
    execute(database_url, f"ALTER ROLE {clerk} SET search_path = shop")

    assert couponctl("doctor").exit_code == 0
    for command in ("create A 9", *COMMANDS, "verify", "stats"):
        assert couponctl(*command.split()).exit_code == 0, command
