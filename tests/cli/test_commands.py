"""What every command answers when all is well, to people and to programs."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from couponctl import __version__
from couponctl.drills.catalog import DRILLS
from tests.support.programs import finished

if TYPE_CHECKING:
    from tests.cli.conftest import Json
    from tests.conftest import Couponctl, Sql

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"


def test_create_says_what_is_on_sale(couponctl: Couponctl) -> None:
    assert couponctl("create", "SPRING", "1000") == (0, "SPRING: 1,000 units on sale\n", "")


def test_create_answers_with_the_coupon(answered: Json) -> None:
    document = answered("create", "SPRING", "3")

    assert document == {
        "name": "SPRING",
        "amount": 3,
        "remaining_amount": 3,
        "created_at": document["created_at"],
    }
    assert datetime.fromisoformat(document["created_at"]).tzinfo is not None


def test_claim_says_who_has_what(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")

    assert couponctl("claim", "SPRING", "alice") == (0, "alice has claimed SPRING\n", "")


def test_claim_answers_with_the_outcome(couponctl: Couponctl, answered: Json) -> None:
    couponctl("create", "SPRING", "3")

    assert answered("claim", "SPRING", "alice") == {
        "name": "SPRING",
        "user_id": "alice",
        "outcome": "claimed",
        "status": 201,
    }


def test_claim_for_many_says_a_line_for_each_and_the_sum_at_the_end(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "2")

    answer = couponctl("claim", "SPRING", "alice", "bob", "alice", "carol")

    assert answer.out == "alice  claimed\nbob  claimed\nalice  already claimed\ncarol  sold out\n"
    assert answer.err == "SPRING: 2 claimed, 1 already claimed, 1 sold out\n"
    assert answer.exit_code == 10


def test_claim_for_many_answers_with_counts_and_results(couponctl: Couponctl, answered: Json) -> None:
    couponctl("create", "SPRING", "1")

    document = answered("claim", "SPRING", "alice", "alice", "bob")

    assert (document["claimed"], document["already_claimed"], document["sold_out"]) == (1, 1, 1)
    assert document["name"] == "SPRING"
    assert document["results"] == [
        {"user_id": "alice", "outcome": "claimed", "status": 201},
        {"user_id": "alice", "outcome": "already_claimed", "status": 409},
        {"user_id": "bob", "outcome": "sold_out", "status": 400},
    ]


def test_show_says_the_stock_and_who_claimed(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")
    couponctl("claim", "SPRING", "bob", "alice")

    answer = couponctl("show", "SPRING")

    stock, *users = answer.out.splitlines()
    assert re.fullmatch(rf"SPRING  ● live  1 of 3 left, 2 claimed, created {MOMENT}", stock)
    assert users == ["  alice", "  bob"]
    assert (answer.exit_code, answer.err) == (0, "")


def test_show_says_whether_one_user_got_it(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "2")
    couponctl("claim", "SPRING", "alice")

    won, lost = couponctl("show", "SPRING", "--user", "alice"), couponctl("show", "SPRING", "--user", "bob")
    told = (
        couponctl("--json", "show", "SPRING", "--user", "alice"),
        couponctl("--json", "show", "SPRING", "--user", "bob"),
    )

    assert won.exit_code == 0
    assert won.out.startswith("✔ alice claimed SPRING at 20")
    assert (lost.exit_code, lost.out) == (12, "✘ bob has not claimed SPRING\n")
    assert json.loads(told[0].out)["claim"]["user_id"] == "alice"
    assert (told[1].exit_code, json.loads(told[1].out)["claim"]) == (12, None)


def test_show_answers_with_the_coupon_and_a_page_of_claimants(couponctl: Couponctl, answered: Json) -> None:
    couponctl("create", "SPRING", "3")
    couponctl("claim", "SPRING", "bob", "alice")

    document = answered("show", "SPRING")

    fields = ["name", "amount", "remaining_amount", "created_at", "claimed_by", "next", "visible"]
    assert list(document) == fields
    assert (document["amount"], document["remaining_amount"]) == (3, 1)
    assert (document["claimed_by"], document["next"]) == (["alice", "bob"], None)


def test_list_is_a_table(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")
    couponctl("create", "GONE", "1")
    couponctl("claim", "GONE", "alice")

    head, gone, spring = couponctl("list").out.splitlines()

    assert head.split() == ["NAME", "STATE", "LEFT", "TOTAL", "CREATED"]
    assert re.fullmatch(rf"GONE    ■ sold out     0      1  {MOMENT}", gone)
    assert re.fullmatch(rf"SPRING  ● live         3      3  {MOMENT}", spring)


def test_list_answers_with_coupons(couponctl: Couponctl, answered: Json) -> None:
    couponctl("create", "SPRING", "3")

    document = answered("list")

    assert document["next"] is None
    assert [list(coupon) for coupon in document["coupons"]] == [
        ["name", "amount", "remaining_amount", "created_at"]
    ]


def test_an_empty_list_says_what_to_do(couponctl: Couponctl, answered: Json) -> None:
    assert couponctl("list") == (0, "", "no coupon; create one first\n")
    assert answered("list") == {"coupons": [], "next": None, "visible": "all"}


def test_verify_says_that_the_ledger_balances(couponctl: Couponctl, answered: Json) -> None:
    couponctl("create", "SPRING", "3")
    couponctl("claim", "SPRING", "alice")

    assert couponctl("verify") == (0, "", "1 coupon, 1 claim: the ledger balances\n")
    assert answered("verify", "SPRING") == {
        "ok": True,
        "coupons": 1,
        "claims": 1,
        "findings": [],
        "not_told": [],
        "visible": "all",
    }


def test_verify_names_what_is_wrong(couponctl: Couponctl, sql: Sql) -> None:
    couponctl("create", "SPRING", "3")
    sql("UPDATE coupons SET remaining_amount = 1")

    answer = couponctl("verify")

    assert answer.exit_code == 20
    assert answer.out == "✘ lost stock  SPRING: the counter says 1 left, 3 are unclaimed: too few\n"
    assert answer.err == "1 coupon, 0 claims: the ledger does not balance: 1 finding\n"


def test_verify_answers_with_findings(couponctl: Couponctl, sql: Sql) -> None:
    couponctl("create", "SPRING", "3")
    sql("UPDATE coupons SET remaining_amount = 1")

    answer = couponctl("verify", "--json")

    document = json.loads(answer.out)
    assert (answer.exit_code, document["ok"]) == (20, False)
    assert [(each["coupon"], each["kind"]) for each in document["findings"]] == [("SPRING", "lost_stock")]
    assert all(isinstance(each["detail"], str) for each in document["findings"])


def test_verify_names_a_coupon_that_it_does_not_find(couponctl: Couponctl) -> None:
    couponctl("create", "SPRING", "3")

    answer = couponctl("verify", "SPRING", "NEVER")

    assert answer.exit_code == 12
    assert '"NEVER"' in answer.err


def test_stats_shows_pool_and_server(couponctl: Couponctl, answered: Json) -> None:
    pool, server = couponctl("stats").out.splitlines()

    assert re.match(r"pool +0 in use, 1 idle, 0 waiting, size 10, acquire p50 [\d.]+ ms", pool)
    assert re.match(r"server +PostgreSQL \d+\.\d+, \d+ of \d+ backends", server)
    document = answered("stats")
    assert document["pool"].keys() >= {"in_use", "idle", "waiting", "size", "acquire_p50_ms"}
    assert document["server"].keys() >= {"backends", "max_connections", "lock_waits", "version"}


def test_a_drill_says_its_verdict_and_every_check(couponctl: Couponctl) -> None:
    answer = couponctl("drill", "flash-sale", "--n", "6", "--stock", "2", "--yes")

    assert answer.exit_code == 0
    assert answer.out.startswith("flash-sale  ✔ PASS\n")
    assert "✔  exactly the stock is claimed" in answer.out
    assert "✘" not in answer.out


def test_a_drill_answers_with_a_report(answered: Json) -> None:
    report = answered("drill", "flash-sale", "--n", "6", "--stock", "2", "--seed", "7", "--yes")

    assert (report["schema"], report["drill"], report["verdict"], report["seed"]) == (
        1,
        "flash-sale",
        "PASS",
        7,
    )
    assert report["params"].items() >= {"n": 6, "stock": 2}.items()
    assert report["outcomes"] == {"claimed": 2, "sold_out": 4}
    assert report["latency_ms"]["claimed"].keys() == {"n", "p50", "p90", "p95", "p99", "max"}
    assert report["pool"].keys() >= {"size", "peak_in_use", "peak_waiting", "acquire_failures"}
    assert all(
        check.keys() == {"id", "promise", "expected", "observed", "held"} for check in report["checks"]
    )
    assert report.keys() >= {"strategy", "claim_phase_ms", "elapsed_ms", "server"}


def test_all_drills_answer_with_a_verdict_and_their_reports(
    answered: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("couponctl.cli.drill.DRILLS", DRILLS[:4])

    document = answered("drill", "all", "--yes")

    assert (document["schema"], document["verdict"]) == (1, "PASS")
    named = [drill["name"] for drill in answered("drill", "list")["drills"]]
    assert [report["drill"] for report in document["reports"]] == named


def test_the_drills_can_be_listed(couponctl: Couponctl, answered: Json) -> None:
    assert "flash-sale: 50 users, 5 units, one instant\n" in couponctl("drill", "list").out
    assert {"name", "title", "promise", "blast_radius", "faults", "parameters"} == answered("drill", "list")[
        "drills"
    ][0].keys()


GLOBAL_OPTIONS = ["--json", "--no-color", "-v", "--verbose"]


@pytest.mark.parametrize("option", GLOBAL_OPTIONS)
def test_a_global_option_may_stand_before_and_behind_the_command(couponctl: Couponctl, option: str) -> None:
    before, behind = couponctl(option, "list"), couponctl("list", option)

    assert before == behind
    assert before.exit_code == 0


def test_the_database_may_be_named_before_and_behind_the_command(
    couponctl: Couponctl, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    couponctl("create", "SPRING", "3")
    monkeypatch.setenv("COUPONCTL_URL", "postgresql://nobody@127.0.0.1:1/nothing")

    assert "SPRING" in couponctl("--url", database_url, "list").out
    assert "SPRING" in couponctl("list", "--url", database_url).out
    assert "SPRING" in couponctl("show", "--url", database_url, "SPRING").out


@pytest.mark.parametrize("command", [("db", "url"), ("drill", "list"), ("db", "status")])
def test_a_global_option_may_stand_between_a_group_and_its_command(
    couponctl: Couponctl, command: tuple[str, str]
) -> None:
    group, name = command

    everywhere = [("--json", group, name), (group, "--json", name), (group, name, "--json")]

    first, *others = [couponctl(*arguments) for arguments in everywhere]
    assert others == [first, first]
    assert isinstance(json.loads(first.out), dict)


def test_the_module_and_the_version_can_be_run(couponctl: Couponctl) -> None:
    answer = finished("--version", environment={})

    assert (answer.exit_code, answer.out, answer.err) == (
        0,
        f"couponctl, version {__version__}\n".encode(),
        b"",
    )
    assert couponctl("--version").out == answer.out.decode()


def test_no_command_at_all_shows_the_help(couponctl: Couponctl) -> None:
    bare, asked = couponctl(), couponctl("--help")

    assert (bare.exit_code, asked.exit_code) == (2, 0)
    assert bare.err == asked.out
    assert "flash sales" in asked.out


@pytest.mark.parametrize(
    "command", [("verify",), ("doctor",), ("drill", "flash-sale", "--yes")], ids=" ".join
)
def test_it_does_not_matter_how_the_server_writes_names(
    couponctl: Couponctl, sql: Sql, command: tuple[str, ...]
) -> None:
    (name,) = sql("SELECT quote_ident(current_database())")[0]
    sql(f"ALTER DATABASE {name} SET quote_all_identifiers = on")

    assert couponctl(*command).exit_code == 0
