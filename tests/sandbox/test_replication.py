"""A drill stops no subscriber: its tables are not replicated, or it does not begin."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from couponctl import embedded
from couponctl.ledger.schema import schema_sql
from tests.support.clones import Clones
from tests.support.sessions import Watch, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Couponctl, Sql

DRILL = ("drill", "flash-sale", "--n", "4", "--stock", "2", "--yes")
BENCH = ("bench", "--in-flight", "2", "--seconds", "0.5", "--rounds", "1", "--no-pgbench", "--yes")


@pytest.fixture(scope="session")
def logical_clones(open_directory: Path) -> Iterator[Clones]:
    """Databases on a server of their own, whose log can be decoded."""
    base = open_directory / "logical"
    with embedded.running(base) as url:
        execute(url, "ALTER SYSTEM SET wal_level = logical")
        embedded.stop(base, now=True)
    with embedded.running(base) as url:
        clones = Clones(url)
        clones.make_template(schema_sql())
        yield clones
        embedded.stop(base, now=True)


class Subscriber:
    """A database that takes what is published in another one, which couponctl works on."""

    def __init__(self, publisher: str, subscriber: str) -> None:
        self.publisher = publisher
        self._watch = Watch(subscriber)
        self._name = f"sub_{secrets.token_hex(4)}"

    def subscribe(self) -> None:
        execute(self.publisher, f"SELECT pg_create_logical_replication_slot('{self._name}', 'pgoutput')")
        parts = urlsplit(self.publisher)
        where = parse_qs(parts.query)
        password = Path(where["passfile"][0]).read_text("utf-8").strip().rpartition(":")[2]
        address = (
            f"host={where['host'][0]} port={where['port'][0]} user=couponctl "
            f"password={password} dbname={parts.path[1:]}"
        )
        self._watch.query(
            f"CREATE SUBSCRIPTION {self._name} CONNECTION '{address}' PUBLICATION sale "
            f"WITH (create_slot = false, slot_name = '{self._name}', copy_data = false)"
        )
        self.hears_of("FIRST")

    def hears_of(self, coupon: str) -> None:
        """A coupon that is created now comes over."""
        execute(self.publisher, "INSERT INTO coupons VALUES ($1, 1, 1)", coupon)
        self._watch.until(f"SELECT FROM coupons WHERE name = '{coupon}'")
        assert not self._watch.query(
            f"SELECT FROM pg_stat_subscription_stats WHERE subname = '{self._name}' AND apply_error_count > 0"
        )

    def leave(self) -> None:
        for statement in ("DISABLE", "SET (slot_name = NONE)"):
            self._watch.query(f"ALTER SUBSCRIPTION {self._name} {statement}")
        self._watch.query(f"DROP SUBSCRIPTION {self._name}")
        self._watch.close()
        publisher = Watch(self.publisher)
        publisher.until(f"SELECT FROM pg_replication_slots WHERE slot_name = '{self._name}' AND NOT active")
        publisher.query(f"SELECT pg_drop_replication_slot('{self._name}')")
        publisher.close()


@pytest.fixture
def subscriber(logical_clones: Clones, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subscriber]:
    with logical_clones.database() as publisher, logical_clones.database() as taker:
        subscriber = Subscriber(publisher, taker)
        yield subscriber
        subscriber.leave()


@pytest.fixture
def on_publisher(
    subscriber: Subscriber, couponctl: Couponctl, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """couponctl on the database that publishes, with a subscriber of it."""

    def publish(what: str) -> Couponctl:
        execute(subscriber.publisher, f"CREATE PUBLICATION sale {what}")
        subscriber.subscribe()
        monkeypatch.setenv("COUPONCTL_URL", subscriber.publisher)
        return couponctl

    return publish


@pytest.mark.parametrize("command", [DRILL, (*DRILL, "--dry-run"), BENCH, ("drill", "all", "--yes")])
def test_a_publication_for_all_tables_refuses_the_drill(
    subscriber: Subscriber, on_publisher: Callable[..., Couponctl], command: tuple[str, ...]
) -> None:
    answer = on_publisher("FOR ALL TABLES")(*command)

    subscriber.hears_of("LATER")
    assert answer.exit_code == 23
    assert "publication sale is FOR ALL TABLES" in answer.err
    assert "--unlogged" in answer.err


@pytest.mark.parametrize("command", [(*DRILL, "--unlogged"), (*BENCH, "--unlogged")])
def test_unlogged_tables_are_not_replicated(
    subscriber: Subscriber, on_publisher: Callable[..., Couponctl], command: tuple[str, ...]
) -> None:
    answer = on_publisher("FOR ALL TABLES")(*command, "--json")

    subscriber.hears_of("LATER")
    assert answer.exit_code == 0
    assert json.loads(answer.out)["unlogged"] is True


@pytest.mark.parametrize(
    "what",
    [
        "FOR TABLE coupons, claims",
        "FOR TABLES IN SCHEMA public",
        "FOR TABLE coupons; CREATE PUBLICATION no FOR ALL TABLES WITH (publish = '')",
    ],
)
def test_a_publication_that_does_not_send_its_tables_is_in_no_drills_way(
    subscriber: Subscriber, on_publisher: Callable[..., Couponctl], what: str
) -> None:
    first, _, more = what.partition("; ")
    run = on_publisher(first)
    execute(subscriber.publisher, more or "SELECT 1")

    assert run(*DRILL).exit_code == 0
    subscriber.hears_of("LATER")


def test_a_server_whose_log_cannot_be_decoded_has_no_subscriber(couponctl: Couponctl, sql: Sql) -> None:
    if sql("SHOW wal_level")[0][0] == "logical":
        pytest.skip("this one's can")
    sql("CREATE PUBLICATION sale FOR ALL TABLES")

    assert couponctl(*DRILL).exit_code == 0


def test_a_dry_run_says_that_the_tables_are_unlogged(couponctl: Couponctl) -> None:
    plain = couponctl(*DRILL, "--dry-run", "--unlogged")
    document = couponctl(*DRILL, "--dry-run", "--unlogged", "--json")

    assert "the tables are UNLOGGED: not replicated, and nothing is proven about a crash" in plain.out
    assert json.loads(document.out)["plans"][0]["unlogged"] is True


def test_a_report_says_that_the_tables_were_unlogged(couponctl: Couponctl) -> None:
    answer = couponctl(*DRILL, "--unlogged")

    assert answer.exit_code == 0
    assert "the tables are UNLOGGED" in answer.out
    assert "the tables are UNLOGGED" in couponctl("runs", "show", "last").out
    assert "UNLOGGED" not in couponctl(*DRILL).out
    assert "tables" in couponctl("runs", "diff").out


@pytest.fixture
def forbid(sql: Sql) -> Callable[..., None]:
    """Makes an event trigger that refuses."""

    def forbid(event: str, state: str = "P0001") -> None:
        sql(
            "CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no DDL here' USING ERRCODE = '{state}'; END $$"
        )
        sql(f"CREATE EVENT TRIGGER forbid ON {event} EXECUTE FUNCTION forbid()")

    return forbid


@pytest.mark.parametrize("state", ["P0001", "42501", "23514", "0A000"])
@pytest.mark.parametrize(
    "event",
    [
        "ddl_command_start",
        "ddl_command_start WHEN TAG IN ('CREATE TABLE')",
        "ddl_command_start WHEN TAG IN ('DROP SCHEMA')",
        "sql_drop",
    ],
)
def test_an_event_trigger_that_refuses_ddl_refuses_the_drill(
    couponctl: Couponctl, sql: Sql, forbid: Callable[..., None], state: str, event: str
) -> None:
    forbid(event, state)

    for command in (DRILL, BENCH):
        answer = couponctl(*command)

        assert answer.exit_code == 23, answer
        assert "an event trigger of this database (forbid) refuses what this creates" in answer.err
        assert answer.err.count("\n") == 1
    assert not sql("SELECT FROM pg_namespace WHERE nspname LIKE 'couponctl%'")


@pytest.mark.parametrize("kind", ["FUNCTION", "TRIGGER"])
def test_only_drills_that_break_things_by_triggers_want_them(
    couponctl: Couponctl, forbid: Callable[..., None], kind: str
) -> None:
    forbid(f"ddl_command_end WHEN TAG IN ('CREATE {kind}')")

    assert couponctl("drill", "partial-failure", "--yes").exit_code == 23
    assert couponctl(*DRILL).exit_code == 0


def test_an_event_trigger_that_lets_it_pass_is_in_no_drills_way(couponctl: Couponctl, sql: Sql) -> None:
    sql(
        "CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'ddl'; END $$"
    )
    sql("CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION note()")

    assert couponctl(*DRILL).exit_code == 0
