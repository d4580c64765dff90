-- The only DDL of couponctl; `couponctl db init` applies it, as often as you like.
-- The ledger's law: remaining_amount = amount - count(claims of that coupon), after every commit.

-- Every claim leaves a dead version of its coupon's row behind. A page that is mostly free is cleared of
-- them after some twenty; one that may fill up lets all look-ups, that of the foreign key too, pass a hundred.
CREATE TABLE IF NOT EXISTS coupons (
    name             varchar(255) NOT NULL,
    amount           integer      NOT NULL,
    remaining_amount integer      NOT NULL,
    created_at       timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT coupons_pkey PRIMARY KEY (name),
    CONSTRAINT coupons_amount_positive CHECK (amount > 0),
    CONSTRAINT coupons_remaining_within_amount CHECK (remaining_amount >= 0 AND remaining_amount <= amount)
) WITH (fillfactor = 25);

-- The primary key is the uniqueness rule (one claim a user), serves look-ups by coupon, and contains
-- the distribution column, which Citus demands of every unique key.
CREATE TABLE IF NOT EXISTS claims (
    coupon_name varchar(255) NOT NULL,
    user_id     varchar(255) NOT NULL,
    created_at  timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT claims_pkey PRIMARY KEY (coupon_name, user_id),
    CONSTRAINT claims_coupon_name_fkey FOREIGN KEY (coupon_name) REFERENCES coupons (name)
);
