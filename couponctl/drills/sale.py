"""Sales: many users, few units, all at the same instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.drills.drill import Check, Drill, Parameters, equals, parameter
from couponctl.models import Outcome

if TYPE_CHECKING:
    from couponctl.drills.arena import Arena

COUPON = "FLASH"


@dataclass(frozen=True, kw_only=True)
class Sale(Parameters):
    n: int = parameter(50, "users who claim at the same instant")
    stock: int = parameter(5, "units on sale")


@dataclass(frozen=True, kw_only=True)
class Scale(Sale):
    n: int = parameter(100, "users who claim at the same instant")
    stock: int = parameter(None, "units on sale; a tenth of n unless given")
    timeout: float = parameter(
        None,
        "seconds after which the drill is broken off; 60 unless given, 120 from 500 users on",
        at_least=0.1,
    )

    def __post_init__(self) -> None:
        self._derive(stock=max(1, self.n // 10), timeout=60.0 if self.n < 500 else 120.0)


async def _sell(arena: Arena, sale: Sale) -> list[Check]:
    await arena.create(COUPON, sale.stock)
    await arena.storm(COUPON, [f"user-{number}" for number in range(1, sale.n + 1)])
    ledger = await arena.ledger(COUPON)
    outcomes = arena.journal.tally()
    claimed = outcomes.pop(Outcome.CLAIMED, 0)
    sold_out = outcomes.pop(Outcome.SOLD_OUT, 0)
    winners = min(sale.n, sale.stock)
    return [
        equals("exactly the stock is claimed", winners, claimed),
        equals('everybody else hears "sold out"', sale.n - winners, sold_out),
        equals("nobody hears anything else", {}, {outcome.value: n for outcome, n in outcomes.items()}),
        equals("remaining", sale.stock - winners, ledger.coupon.remaining_amount),
        equals("distinct users in the ledger", winners, len(set(ledger.claimed_by))),
    ]


async def _sell_without_starving(arena: Arena, sale: Scale) -> list[Check]:
    checks = await _sell(arena, sale)
    failures = arena.service.pool_stats().acquire_failures
    return [*checks, equals("nobody waits in vain for a connection", 0, failures)]


FLASH_SALE = Drill(
    name="flash-sale",
    title="50 users, 5 units, one instant",
    promise='exactly the stock is claimed, everybody else hears "sold out"',
    blast_radius="its own schema and pool; load on the server while it lasts",
    parameters=Sale,
    attack=_sell,
)

SCALE = Drill(
    name="scale",
    title="any number of users on a tenth as many units",
    promise="exactly the stock is claimed, and the pool, full as it is, refuses nobody",
    blast_radius="its own schema and pool; load on the server while it lasts",
    parameters=Scale,
    attack=_sell_without_starving,
)
