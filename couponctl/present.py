"""From models to words: the one-line texts and rows that the command line and the console share."""

from __future__ import annotations

import unicodedata
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from couponctl.models import Coupon, Finding, PoolStats, ServerStats

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Untrusted text with every invisible or controlling character spelled out.

    Terminal escapes, bidi controls, zero-width characters, line breaks and lone surrogates become
    `\u{1b}` and the like (CWE-150, CVE-2021-42574); all else stays as it is, on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(rf"\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSAFE else c for c in text)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cells(text: str) -> int:
    """How many terminal cells a safe text takes (Unicode annex 11; combining marks take none)."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def aligned(rows: Sequence[Sequence[str]], alignment: str) -> Iterator[str]:
    """Rows of safe texts as lines of equal columns; `alignment` has a `<` or `>` for each column."""
    widths = [max((cells(row[column]) for row in rows), default=0) for column in range(len(alignment))]
    for row in rows:
        padded = (
            text + " " * (width - cells(text)) if side == "<" else " " * (width - cells(text)) + text
            for text, width, side in zip(row, widths, alignment, strict=True)
        )
        yield "  ".join(padded).rstrip()


def stock_state(coupon: Coupon) -> str:
    return "■ sold out" if coupon.sold_out else "● live"


def moment(when: datetime | None) -> str:
    """To the second, in UTC."""
    if when is None:
        return "unknown"
    return (when.astimezone(UTC) if when.tzinfo else when).strftime("%Y-%m-%d %H:%M:%SZ")


def stock_line(coupon: Coupon) -> str:
    return (
        f"{safe(coupon.name)}  {stock_state(coupon)}  {coupon.remaining_amount:,} of {coupon.amount:,} left, "
        f"{coupon.claimed_amount:,} claimed, created {moment(coupon.created_at)}"
    )


def coupon_table(coupons: Sequence[Coupon]) -> Iterator[str]:
    rows = [("NAME", "STATE", "LEFT", "TOTAL", "CREATED")]
    rows += [
        (safe(c.name), stock_state(c), f"{c.remaining_amount:,}", f"{c.amount:,}", moment(c.created_at))
        for c in coupons
    ]
    return aligned(rows, "<<>><")


def finding_line(finding: Finding) -> str:
    where = "the tables" if finding.coupon is None else safe(finding.coupon)
    return f"✘ {finding.kind.value.replace('_', ' ')}  {where}: {safe(finding.detail)}"


def stats_lines(pool: PoolStats, server: ServerStats) -> Iterator[str]:
    acquire = "" if pool.acquire_p50_ms is None else f", acquire p50 {milliseconds(pool.acquire_p50_ms)}"
    yield f"pool    {pool.in_use} in use, {pool.idle} idle, {pool.waiting} waiting, size {pool.size}{acquire}"
    yield (
        f"server  PostgreSQL {server.version}, {server.backends} of {server.max_connections} backends "
        f"({server.own_backends} couponctl), {server.active} active, "
        f"{server.idle_in_transaction} idle in transaction, {server.lock_waits} waiting for a lock"
    )


def milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"
