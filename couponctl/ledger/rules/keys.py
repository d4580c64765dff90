"""The rules that keys and references enforce."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from couponctl.ledger.rules.pg_catalog import Key, Table, Tables
    from couponctl.ledger.rules.rule import Rule, Wanted


def uniqueness_judged(wanted: Wanted, table: Table, columns: frozenset[str]) -> Rule:
    """Judge whether no two rows can have the same values in these columns, while different rows can exist."""
    if table.no_table:
        return wanted.not_told(table.no_table)
    sound = [key for key in table.keys if key.whole and key.columns == columns]
    for key in table.keys:
        if strict := _too_strict(key, columns):
            remedies = [_dropped(table, key)] if sound else [_dropped(table, key), wanted.remedy]
            return wanted.too_strict(f"the key {key.name} of {table.name} {strict}", "; ".join(remedies))
    if sound and table.has_heirs:
        return wanted.not_told(f"other tables inherit from {table.name}, and its key is not theirs")
    if sound:
        return wanted.held
    for key in table.keys:
        if key.used <= columns:
            return wanted.not_told(f"{key.name} of {table.name} is not a plain key, but may compare the same")
    return wanted.not_told(table.perhaps) if table.perhaps else wanted.missing


def _too_strict(key: Key, columns: frozenset[str]) -> str:
    """Say what a key forbids that should be possible; empty if nothing."""
    if key.whole and key.columns < columns:
        only = ", ".join(sorted(key.columns))
        return f"is on {only} alone, so others are refused"
    return ""


def _dropped(table: Table, key: Key) -> str:
    return (
        f"ALTER TABLE {table.name} DROP CONSTRAINT {key.name}" if key.constraint else f"DROP INDEX {key.name}"
    )


def reference_judged(wanted: Wanted, tables: Tables) -> Rule:
    """Judge whether every claim is of a coupon that exists."""
    for table in (tables.claims, tables.coupons):
        if table.no_table:
            return wanted.not_told(table.no_table)
    references = [reference for reference in tables.references if reference.to_the_name]
    if any(reference.always for reference in references):
        if tables.claims.has_heirs:
            return wanted.not_told("other tables inherit from claims, and its foreign key is not theirs")
        return wanted.held
    if references:
        return wanted.not_told("the foreign key of claims has a column that may be null, which exempts a row")
    return wanted.not_told(tables.claims.perhaps) if tables.claims.perhaps else wanted.missing
