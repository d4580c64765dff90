"""DDL of databases with rules of their own: users whose id begins with `bad` are those that they refuse."""

from __future__ import annotations


def before_insert(body: str, table: str = "claims") -> str:
    return (
        f"CREATE FUNCTION rule_of_its_own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER rule_of_its_own BEFORE INSERT ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION rule_of_its_own()"
    )


KEEPS_OUT = before_insert("IF NEW.user_id LIKE 'bad%' THEN RETURN NULL; END IF; RETURN NEW;")
IN_LOWER_CASE = before_insert("NEW.user_id := lower(NEW.user_id); RETURN NEW;")
ELSEWHERE = (
    "CREATE TABLE claims_of_today () INHERITS (claims);"
    "ALTER TABLE claims_of_today ADD PRIMARY KEY (coupon_name, user_id);"
    + before_insert("INSERT INTO claims_of_today SELECT NEW.*; RETURN NULL;")
)
RAISES = before_insert(
    "IF NEW.user_id LIKE 'bad%' THEN RAISE EXCEPTION 'bad users buy elsewhere.'; END IF; RETURN NEW;"
)
CITEXT = (
    "CREATE EXTENSION citext; ALTER TABLE claims ALTER user_id TYPE citext, ALTER coupon_name TYPE citext;"
    "ALTER TABLE coupons ALTER name TYPE citext"
)
CASE_BLIND_KEY = "CREATE UNIQUE INDEX ON claims (coupon_name, lower(user_id))"
ONE_COUPON_A_USER = "ALTER TABLE claims ADD CONSTRAINT one_coupon_a_user UNIQUE (user_id)"
DEFERRABLE_KEY = (
    "ALTER TABLE claims DROP CONSTRAINT claims_pkey, ADD PRIMARY KEY (coupon_name, user_id) DEFERRABLE"
)
DEFERRED_KEY = f"{DEFERRABLE_KEY} INITIALLY DEFERRED"
LATE_RULE = (
    "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.user_id LIKE 'bad%' THEN"
    " RAISE EXCEPTION 'too late'; END IF; RETURN NULL; END $$;"
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON claims DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION late()"
)
RULE_INSTEAD = "CREATE RULE nothing AS ON INSERT TO claims WHERE NEW.user_id LIKE 'bad%' DO INSTEAD NOTHING"
NARROW = "ALTER TABLE claims ALTER user_id TYPE varchar(5)"
CHECK = "ALTER TABLE claims ADD CONSTRAINT short CHECK (user_id NOT LIKE 'bad%')"
DOMAIN = (
    "CREATE DOMAIN good AS varchar(255) CHECK (VALUE NOT LIKE 'bad%');"
    "ALTER TABLE claims ALTER user_id TYPE good"
)
BROKEN_TRIGGER = before_insert("IF NEW.user_id LIKE 'bad%' THEN PERFORM gone(); END IF; RETURN NEW;")
OWN_SQLSTATE = before_insert(
    "IF NEW.user_id LIKE 'bad%' THEN RAISE EXCEPTION 'no luck' USING ERRCODE = 'ZZ001'; END IF; RETURN NEW;"
)
PARTITIONED = (
    "DROP TABLE claims; CREATE TABLE claims"
    " (coupon_name varchar(255) REFERENCES coupons, user_id varchar(255),"
    " created_at timestamptz DEFAULT now(), PRIMARY KEY (coupon_name, user_id)) PARTITION BY HASH (user_id);"
    "CREATE TABLE claims_0 PARTITION OF claims FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE claims_1 PARTITION OF claims FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
)
AUTO_VIEW = "ALTER TABLE claims RENAME TO real_claims; CREATE VIEW claims AS SELECT * FROM real_claims"
