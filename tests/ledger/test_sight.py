"""What row-level security keeps from a role is never taken for something that is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.cli.conftest import assert_discreet

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Answer, Couponctl, Role, Sql


class Clerk(NamedTuple):
    """A role under row-level security, and couponctl as it."""

    name: str
    run: Callable[..., Answer]


@pytest.fixture
def clerk(
    role: Role, sql: Sql, couponctl: Couponctl, plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Clerk:
    """It may use the tables; both have row-level security, and as yet no policy. HERS and HIS are there."""
    url = role()
    name = urlsplit(url).username or ""
    sql(f"GRANT SELECT, INSERT, UPDATE ON coupons, claims TO {name}")
    sql("ALTER TABLE coupons ENABLE ROW LEVEL SECURITY")
    sql("ALTER TABLE claims ENABLE ROW LEVEL SECURITY")
    plant("HERS", 3, ("alice",))
    plant("HIS", 2, ("bob", "carol"))

    def run(*words: str) -> Answer:
        with monkeypatch.context() as patched:
            patched.setenv("COUPONCTL_URL", url)
            return couponctl(*words)

    return Clerk(name, run)


@pytest.fixture
def allowed(sql: Sql) -> Callable[..., None]:
    """Lets everybody read what the conditions say."""

    def allow(coupons: str, claims: str, kind: str = "SELECT") -> None:
        sql(f"CREATE POLICY c ON coupons FOR {kind} USING ({coupons})")
        sql(f"CREATE POLICY d ON claims FOR {kind} USING ({claims})")

    return allow


HERS = ("name = 'HERS'", "coupon_name = 'HERS'")

EVERYWHERE = (("verify",), ("list",), ("show", "HERS"), ("stats",))


@pytest.mark.parametrize("command", EVERYWHERE, ids=" ".join)
def test_whatever_is_read_is_as_far_as_the_role_may_see(
    clerk: Clerk, allowed: Callable[..., None], command: tuple[str, ...]
) -> None:
    allowed(*HERS)

    plain, document = clerk.run(*command), clerk.run(*command, "--json")

    words = f"as far as role {clerk.name} may see: row-level security hides coupons and claims from it"
    assert plain.err.count(words) == document.err.count(words) == 1
    assert json.loads(document.out)["visible"] == "partly"
    assert plain.exit_code == document.exit_code == (22 if command == ("verify",) else 0)


@pytest.mark.parametrize("command", EVERYWHERE, ids=" ".join)
@pytest.mark.parametrize(
    "way",
    ["the owner", "BYPASSRLS", "true", "true for all commands", "true for it", "true and more"],
)
def test_who_sees_all_is_not_told_so(
    clerk: Clerk,
    allowed: Callable[..., None],
    couponctl: Couponctl,
    sql: Sql,
    way: str,
    command: tuple[str, ...],
) -> None:
    run = clerk.run
    match way:
        case "the owner":
            run = couponctl
        case "BYPASSRLS":
            sql(f"ALTER ROLE {clerk.name} BYPASSRLS")
        case "true":
            allowed("true", "true")
        case "true for all commands":
            allowed("true", "true", "ALL")
        case "true for it":
            for table in ("coupons", "claims"):
                sql(f"CREATE POLICY its ON {table} TO {clerk.name} USING (true)")
        case "true and more":
            allowed("true", "true")
            sql("CREATE POLICY more ON coupons USING (name = 'HERS')")
            sql("CREATE POLICY strict ON coupons AS RESTRICTIVE FOR SELECT USING (true)")

    answer = run(*command, "--json")

    assert (answer.exit_code, answer.err) == (0, "")
    assert json.loads(answer.out)["visible"] == "all"


@pytest.mark.parametrize(
    "way", ["no policy", "for another role", "for updates", "restricted", "forced on the owner", "quoted"]
)
def test_a_policy_that_is_not_for_the_role_shows_nothing(
    clerk: Clerk, allowed: Callable[..., None], sql: Sql, way: str
) -> None:
    match way:
        case "for another role":
            sql("CREATE POLICY its ON coupons TO pg_monitor USING (true)")
            sql("CREATE POLICY its ON claims TO pg_monitor USING (true)")
        case "for updates":
            allowed("true", "true", "UPDATE")
        case "restricted":
            allowed("true", "true")
            sql("CREATE POLICY strict ON coupons AS RESTRICTIVE USING (amount < 3)")
        case "forced on the owner":
            sql(f"ALTER TABLE coupons OWNER TO {clerk.name}")
            sql("ALTER TABLE coupons FORCE ROW LEVEL SECURITY")
        case "quoted":
            allowed("name <> ''", "true")
            sql(
                "ALTER DATABASE " + sql("SELECT current_database()")[0][0] + " SET quote_all_identifiers = on"
            )

    answer = clerk.run("verify", "--json")
    sql("ALTER TABLE coupons OWNER TO CURRENT_USER")  # so that the role can be dropped

    assert answer.exit_code == 22
    document = json.loads(answer.out)
    assert (document["ok"], document["visible"], document["findings"]) == (None, "partly", [])


def test_an_empty_list_is_not_said_to_be_all(clerk: Clerk) -> None:
    answer = clerk.run("list")

    assert "create one first" not in answer.err
    assert f"as far as role {clerk.name} may see" in answer.err


@pytest.mark.parametrize("command", [("show", "HIS"), ("show", "HIS", "--user", "bob"), ("verify", "HIS")])
def test_a_coupon_that_may_be_hidden_is_not_said_to_be_missing(
    clerk: Clerk, allowed: Callable[..., None], command: tuple[str, ...]
) -> None:
    allowed(*HERS)

    answer = clerk.run(*command)

    assert answer.exit_code == 12
    assert f'There is no coupon "HIS" as far as role {clerk.name} may see.' in answer.err


def test_a_claim_that_may_be_hidden_is_not_said_to_be_missing(
    clerk: Clerk, allowed: Callable[..., None]
) -> None:
    allowed("true", "user_id <> 'bob'")

    assert clerk.run("show", "HIS", "--user", "carol").exit_code == 0
    answer = clerk.run("show", "HIS", "--user", "bob")
    assert answer.exit_code == 12
    assert f'"bob" has not claimed "HIS" as far as role {clerk.name} may see.' in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE coupons SET remaining_amount = 0 WHERE name = 'HERS'", set()),
        ("INSERT INTO claims VALUES ('HIDDEN', 'x')", set()),
        ("UPDATE coupons SET remaining_amount = 3 WHERE name = 'HERS'", {"overstated_stock"}),
        ("UPDATE coupons SET remaining_amount = -1 WHERE name = 'HERS'", {"negative_stock"}),
        ("INSERT INTO claims VALUES ('HERS', 'alice')", {"duplicate_claim", "overstated_stock"}),
        (
            "INSERT INTO claims VALUES ('HERS', 'x'), ('HERS', 'y'), ('HERS', 'z')",
            {"oversold", "overstated_stock"},
        ),
    ],
)
def test_verify_judges_what_is_certain_whatever_is_hidden(
    clerk: Clerk, allowed: Callable[..., None], sql: Sql, damage: str, kinds: set[str]
) -> None:
    allowed("name <> 'HIDDEN'", "coupon_name <> 'NEVER'")
    sql("ALTER TABLE claims DROP CONSTRAINT claims_coupon_name_fkey")
    sql("ALTER TABLE claims DROP CONSTRAINT claims_pkey")
    sql("ALTER TABLE coupons DROP CONSTRAINT coupons_remaining_within_amount")
    sql(damage)

    answer = clerk.run("verify", "--json")

    found = {each["kind"] for each in json.loads(answer.out)["findings"]}
    assert found - {"missing_constraint"} == kinds
    assert answer.exit_code == 20


def test_what_a_policy_refuses_is_said_to_be_one(
    clerk: Clerk, allowed: Callable[..., None], sql: Sql
) -> None:
    allowed("true", "true")
    sql("CREATE POLICY sell ON coupons FOR UPDATE USING (true)")

    for command in (("create", "MINE", "1"), ("claim", "HERS", "dora")):
        answer = clerk.run(*command)

        assert answer.exit_code == 2
        assert "a row-level security policy forbids it" in answer.err
        assert_discreet(answer)
