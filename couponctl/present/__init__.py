"""From models to words: the one-line texts and rows that the command line and the console share."""

from __future__ import annotations

import shlex
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from couponctl.present.glyph import Glyph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date

    from couponctl.models import (
        Audit,
        Backend,
        Blocking,
        Claim,
        Coupon,
        Finding,
        Hidden,
        PoolStats,
        ServerStats,
    )

_NARROW = frozenset(map(chr, range(0x20, 0x7F))) | frozenset("".join(Glyph) + "·×–…")
"""ASCII and our own glyphs: a cell each, which need not be looked up."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Untrusted text with every invisible or controlling character spelled out.

    Terminal escapes, bidi controls, zero-width characters, line breaks and lone surrogates become
    `\u{1b}` and the like (CWE-150, CVE-2021-42574); all else stays as it is, on one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(rf"\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSAFE else c for c in text)


def command_line(words: Sequence[str]) -> str:
    r"""How bash and zsh are told these words; `$'\x1b'` and the like where one could not be seen."""
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    escaped = (
        c if c.isprintable() and c not in "\\'" else "".join(rf"\x{byte:02x}" for byte in c.encode())
        for c in word
    )
    return f"$'{''.join(escaped)}'"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def cells(text: str) -> int:
    """How many terminal cells a safe text takes."""
    if _NARROW.issuperset(text):
        return len(text)
    from wcwidth import width  # noqa: PLC0415 - most texts do without it

    return width(text, control_codes="ignore")


def stock_state(coupon: Coupon) -> str:
    return f"{Glyph.OFF} sold out" if coupon.sold_out else f"{Glyph.ON} live"


def moment(when: datetime | date | None) -> str:
    """To the second, in UTC (Z); without that letter where the database does not know the time zone."""
    if when is None:
        return "unknown"
    if not isinstance(when, datetime):
        return when.isoformat()
    if when.tzinfo is None:
        return when.isoformat(" ", "seconds")
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')}Z"


def stock_line(coupon: Coupon) -> str:
    return (
        f"{safe(coupon.name)}  {stock_state(coupon)}  {coupon.remaining_amount:,} of {coupon.amount:,} left, "
        f"{coupon.claimed_amount:,} claimed, created {moment(coupon.created_at)}"
    )


def claim_words(coupon: str, user: str, claim: Claim | None) -> str:
    """Whether the user got it; `claim` is None where not."""
    if claim is None:
        return f"{Glyph.FAILED} {safe(user)} has not claimed {safe(coupon)}"
    return f"{Glyph.PASSED} {safe(user)} claimed {safe(coupon)} at {moment(claim.created_at)}"


def finding_line(finding: Finding) -> str:
    where = "the tables" if finding.coupon is None else safe(finding.coupon)
    return f"{Glyph.FAILED} {finding.kind.label}  {where}: {safe(finding.detail)}"


def audit_words(audit: Audit) -> str:
    """What an audit came to."""
    scope = f"{counted(audit.coupons, 'coupon')}, {counted(audit.claims, 'claim')}"
    if audit.findings:
        word = f"the ledger does not balance: {counted(len(audit.findings), 'finding')}"
    elif audit.hidden:
        word = "no finding in these; whether the whole ledger balances is unknown"
    else:
        word = "the ledger balances"
    return f"{scope}: {word}"


def sight_words(hidden: Hidden) -> str:
    """Why what was said is not all there may be."""
    kept = {(True, False): "coupons", (False, True): "claims"}.get((hidden.coupons, hidden.claims))
    kept = kept or "coupons and claims"
    return f"as far as role {safe(hidden.role)} may see: row-level security hides {kept} from it"


def stats_lines(pool: PoolStats, server: ServerStats) -> Iterator[str]:
    acquire = "" if pool.acquire_p50_ms is None else f", acquire p50 {milliseconds(pool.acquire_p50_ms)}"
    yield f"pool    {pool.in_use} in use, {pool.idle} idle, {pool.waiting} waiting, size {pool.size}{acquire}"
    yield (
        f"server  PostgreSQL {server.version}, {server.backends} of {server.max_connections} backends "
        f"({server.own_backends} couponctl), {server.active} active, "
        f"{server.idle_in_transaction} idle in transaction, {server.lock_waits} waiting for a lock"
    )


def hidden_line(backends: int) -> str:
    """Why so many listed backends say nothing of themselves."""
    return f"hidden  what {counted(backends, 'backend')} of other roles do: pg_read_all_stats would show it"


def milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """How long something lasts, rounded down: `0.8 s`, `2 min`, `3 h`, `1 d`."""
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds * 10) / 10:.1f} s"


def cut(text: str, width: int) -> str:
    """A safe text in that many terminal cells at most, one at least; what lacks something ends in `…`.

    No letter is parted from its marks.
    """
    if cells(text) <= width:
        return text
    ends, taken = [0], cells("…")
    for grapheme in _graphemes(text):
        taken += cells(grapheme)
        if taken > width:
            break
        ends.append(ends[-1] + len(grapheme))
    while cells(shown := f"{text[: ends.pop()]}…") > width:
        pass  # in nonsense, such as marks without a letter, the whole can be wider than its parts
    return shown


def _graphemes(text: str) -> Iterable[str]:
    """What a reader takes for characters: a letter with its marks is one."""
    if _NARROW.issuperset(text):
        return text
    from wcwidth import iter_graphemes  # noqa: PLC0415 - most texts do without it

    return iter_graphemes(text)


def backend_row(backend: Backend, query_width: int) -> tuple[str, ...]:
    """Pid, application, user, state, wait, age, query: safe texts, the query in that many cells at most."""
    return (
        str(backend.pid),
        safe(backend.application),
        safe(backend.user),
        "hidden" if backend.hidden else safe(backend.state),
        safe(backend.wait),
        "" if backend.age is None else span(backend.age),
        query_words(backend, query_width),
    )


def query_words(backend: Backend, width: int) -> str:
    """The statement on one line of that many cells at most."""
    if backend.query is None:
        return cut("hidden from this role", width)
    return cut(safe(" ".join(backend.query.split())), width)


_NAMED = 3
"""Blockers that are named in a line; in a queue everybody waits for all that came before."""


def blocking_line(row: Blocking, query_width: int = 60) -> str:
    """Who blocks or waits, for how long and at what, indented by its depth; one line of safe text."""
    indent = "  " * row.depth
    if row.backend is None:
        return f"{indent}{_process(row.pid)}{', which has disconnected' if row.pid else ''}"
    backend = row.backend
    user = f"({safe(backend.user)})" if backend.user else ""
    words = [str(row.pid), safe(backend.application), user, _doing(row, backend)]
    line = indent + " ".join(filter(None, words))
    if not backend.query:
        return line
    at = ": " if backend.state == "active" else ", last: "
    return f"{line}{at}{query_words(backend, query_width)}"


def _doing(row: Blocking, backend: Backend) -> str:
    if backend.hidden:
        return "hidden from this role"
    lasted = "" if backend.age is None else f" {span(backend.age)}"
    if not backend.waits_for_lock:
        return f"{safe(backend.state)}{lasted}"
    blockers = sorted(backend.blocked_by, key=lambda pid: pid != row.below)
    names = ", ".join(_process(pid) for pid in blockers[:_NAMED]) or "a lock"
    more = f" and {len(blockers) - _NAMED} more" if len(blockers) > _NAMED else ""
    return f"waits{lasted} for {names}{more}{', in a cycle' if row.circular else ''}"


def _process(pid: int) -> str:
    return str(pid) if pid else "a prepared transaction"
