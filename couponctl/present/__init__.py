"""Models as text: the lines and rows that the command line and the console share."""

from __future__ import annotations

import os
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
    r"""Return untrusted text with every invisible or control character escaped.

    Terminal escapes, bidi controls, zero-width characters, line breaks and lone surrogates become
    `\u{1b}` and the like (CWE-150, CVE-2021-42574); the rest is unchanged. The result is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(rf"\u{{{ord(c):x}}}" if unicodedata.category(c) in _UNSAFE else c for c in text)


def without_home(text: str) -> str:
    """Write the home directory as ~: that is shorter, and its path may tell who the operator is."""
    home = os.environ.get("HOME", "").rstrip("/")
    return text.replace(f"{home}/", "~/") if home else text


def command_line(words: Sequence[str]) -> str:
    r"""Quote the words for bash and zsh; one with unprintable characters is written as `$'\x1b'`."""
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
    """Return the terminal cells that a safe text takes."""
    if _NARROW.issuperset(text):
        return len(text)
    from wcwidth import width  # noqa: PLC0415 - most texts do not need it

    return width(text, control_codes="ignore")


def stock_state(coupon: Coupon) -> str:
    return f"{Glyph.OFF} sold out" if coupon.sold_out else f"{Glyph.ON} live"


def moment(when: datetime | date | None) -> str:
    """Return the time to the second, in UTC with a Z; without the Z if its time zone is unknown."""
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
    """Say whether the user has a claim; `claim` is None if not."""
    if claim is None:
        return f"{Glyph.FAILED} {safe(user)} has not claimed {safe(coupon)}"
    return f"{Glyph.PASSED} {safe(user)} claimed {safe(coupon)} at {moment(claim.created_at)}"


def finding_line(finding: Finding) -> str:
    where = "the tables" if finding.coupon is None else safe(finding.coupon)
    return f"{Glyph.FAILED} {finding.kind.label}  {where}: {safe(finding.detail)}"


def audit_words(audit: Audit) -> str:
    """Summarise an audit in one line."""
    scope = f"{counted(audit.coupons, 'coupon')}, {counted(audit.claims, 'claim')}"
    if audit.findings:
        word = f"the ledger does not balance: {counted(len(audit.findings), 'finding')}"
    elif audit.hidden:
        word = "no finding in these; whether the whole ledger balances is unknown"
    else:
        word = "the ledger balances"
    return f"{scope}: {word}"


def sight_words(hidden: Hidden) -> str:
    """Say what row-level security may have hidden."""
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
    """Say why the activity of so many listed backends is not shown."""
    return f"hidden  what {counted(backends, 'backend')} of other roles do: pg_read_all_stats would show it"


def milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 100 else f"{value:,.0f} ms"


_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """Return a duration in words, rounded down: `0.8 s`, `2 min`, `3 h`, `1 d`."""
    for size, unit in _SPANS:
        if seconds >= size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds * 10) / 10:.1f} s"


def cut(text: str, width: int) -> str:
    """Cut a safe text to at most `width` terminal cells (at least one); a shortened text ends in `…`.

    Letters keep their combining marks.
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
        pass  # in malformed text, such as marks without a letter, the whole can be wider than its parts
    return shown


def _graphemes(text: str) -> Iterable[str]:
    """Split text into visible characters: a letter with its marks is one."""
    if _NARROW.issuperset(text):
        return text
    from wcwidth import iter_graphemes  # noqa: PLC0415 - most texts do not need it

    return iter_graphemes(text)


def backend_row(backend: Backend, query_width: int) -> tuple[str, ...]:
    """Return pid, application, user, state, wait, age, query (at most `query_width` cells) as safe texts."""
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
    """Return the statement on one line of at most `width` cells."""
    if backend.query is None:
        return cut("hidden from this role", width)
    return cut(safe(" ".join(backend.query.split())), width)


_NAMED = 3
"""Maximum number of blockers named in a line; in a lock queue, each backend waits for all before it."""


def blocking_line(row: Blocking, query_width: int = 60) -> str:
    """Return who blocks or waits, how long and in which statement: a safe line, indented by depth."""
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
