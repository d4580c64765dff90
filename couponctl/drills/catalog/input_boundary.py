"""Inputs at the boundary: valid ones come back byte for byte, all others are refused before any SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.drills.check import Check, all_of, equals, none_of
from couponctl.drills.context import service_call
from couponctl.drills.drill import Drill, Parameters
from couponctl.errors import CouponctlError, Invalid
from couponctl.models import Outcome

if TYPE_CHECKING:
    from couponctl.drills.context import DrillContext

GOOD_TEXTS = {
    "1 character": "x",
    "255 characters": "y" * 255,
    "255 wide characters": "新" * 255,
    "SQL": "Robert'); DROP TABLE claims;--",
    "quotes": '"it\'s" `so` $$ \\ % _',
    "markup": "[red]x[/red][/] [@click=app.quit]x[/]",
    "braces": "{name} %s %(x)s :name",
    "emoji": "\U0001f469\u200d\U0001f680 \U0001f3f3\ufe0f\u200d\U0001f308",
    "CJK": "新年快乐",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202eabc",
    "combining marks": "e\u0301 \u00e9",
    "inner spaces": "a  b",
    "small letters": "case",
    "capital letters": "CASE",
    "leading zeros": "007",
}
"""Valid texts, visible or not."""

ALIKE = ("alice", "ALICE", "7", "007", "Jose", "José", "e\u0301", "\u00e9", "a-b", "ab", "\uff41\uff42")
"""User ids that lists, forms and collations tend to confuse."""

NEARLY = ("Case", "cas_", "cas%", "7", "\u65b0\u5e74")
"""Names that no coupon has, but that are close to those of some."""

BAD_TEXTS = {
    "nothing": "",
    "blank": "   ",
    "256 characters": "z" * 256,
    "10,000 characters": "z" * 10_000,
    "leading space": " a",
    "trailing space": "a\u00a0",
    "NUL": "a\0b",
    "newline": "a\nb",
    "escape sequence": "\x1b[31mred\x1b[0m",
    "C1 control": "a\x9bb",
    "line separator": "a\u2028b",
    "lone surrogate": "a\ud800b",
}
"""Texts that nobody could find again, or that no database can store."""

FILTERS = ("%", "_", "\\", "cas", "A_")
"""Texts to search for in names."""

GOOD_AMOUNTS = (1, 2, 2**31 - 1)
BAD_AMOUNTS = (0, -1, 2**31, 2**63, -(2**63))


@dataclass(frozen=True, kw_only=True)
class Boundary(Parameters):
    """Has no parameters but those of every drill."""


async def _try_boundaries(context: DrillContext, _boundary: Boundary) -> list[Check]:
    changed = [what for what, text in GOOD_TEXTS.items() if not await _round_trips(context, text)]
    for amount in GOOD_AMOUNTS:
        await context.create(f"AMOUNT {amount}", amount)
        await context.claim(f"AMOUNT {amount}", "buyer")
    await context.create("ALIKE", len(ALIKE))
    alike = [await context.claim("ALIKE", user) for user in ALIKE]
    found = [name for name in NEARLY if await context.claim(name, "buyer") is not Outcome.NOT_FOUND]
    before = context.service.pool_stats().acquires
    accepted = [
        f"coupon: {what}" for what, text in BAD_TEXTS.items() if not await _create_refused(context, text)
    ]
    accepted += [
        f"user: {what}" for what, text in BAD_TEXTS.items() if not await _claim_refused(context, text)
    ]
    accepted += [f"{bad}" for bad in BAD_AMOUNTS if not await _create_refused(context, "GOOD NAME", bad)]
    sent = context.service.pool_stats().acquires - before
    with service_call("list"):
        page = await context.service.list(limit=1000)
        misread = [text for text in FILTERS if not await _is_literal(context, text)]
    won = context.journal.tally().get(Outcome.CLAIMED)
    valid = len(GOOD_TEXTS) + len(GOOD_AMOUNTS) + len(ALIKE)
    return [
        all_of("inputs-unchanged", "valid inputs that come back byte for byte", len(GOOD_TEXTS), changed),
        all_of(
            "invalid-inputs-refused",
            "invalid inputs refused",
            2 * len(BAD_TEXTS) + len(BAD_AMOUNTS),
            accepted,
        ),
        equals("sql-for-invalid-inputs", "connections used for invalid inputs", 0, sent),
        equals("coupons-in-tables", "coupons in the tables", len(context.journal.created), len(page.coupons)),
        equals("users-alike", "claims won by users who look alike", len(ALIKE), alike.count(Outcome.CLAIMED)),
        none_of("names-nearly-right", "coupons claimed by a name that is nearly theirs", found),
        none_of("filters-misread", "filters that list takes for more than they say", misread),
        equals("claims-won", "claims won by valid users", valid, won),
    ]


async def _round_trips(context: DrillContext, text: str) -> bool:
    """Whether a coupon of that name, claimed by a user of that name, is read back unchanged."""
    await context.create(text, 1)
    await context.claim(text, text)
    with service_call("show"):
        found = await context.service.show(text)
    return (found.coupon.name, found.claimed_by) == (text, (text,))


async def _is_literal(context: DrillContext, matching: str) -> bool:
    """Whether list finds exactly the coupons whose name contains the text, ignoring case."""
    page = await context.service.list(matching=matching, limit=1000)
    due = {name for name in context.journal.created if matching.lower() in name.lower()}
    return {coupon.name for coupon in page.coupons} == due


async def _create_refused(context: DrillContext, name: str, amount: int = 1) -> bool:
    try:
        with service_call("create"):
            await context.service.create(name, amount)
    except Invalid:
        return True
    except CouponctlError:
        return False
    return False


async def _claim_refused(context: DrillContext, user_id: str) -> bool:
    try:
        with service_call("claim"):
            await context.service.claim(GOOD_TEXTS["1 character"], user_id)
    except Invalid:
        return True
    return False


INPUT_BOUNDARY = Drill(
    name="input-boundary",
    title="names, users and amounts at and beyond what is allowed",
    promise="what is accepted comes back byte for byte; the rest is refused before any SQL is sent",
    blast_radius="its own schema and pool",
    parameters=Boundary,
    attack=_try_boundaries,
)
