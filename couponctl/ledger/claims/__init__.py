"""The locked claim, one strategy after the other, all under one contract.

1. Answers, in this precedence: not found, already claimed, sold out, claimed. A winner who asks again
   after the sale hears "already claimed".
2. The coupon's row is locked from the stock check to the commit.
3. After every commit remaining_amount = amount - count(claims): only what was inserted is taken off.
   To decrement first and insert with ON CONFLICT DO NOTHING loses a unit to every duplicate, silently.
"""

from __future__ import annotations

from couponctl.ledger.claims.batcher import BATCHED
from couponctl.ledger.claims.single import STATEMENT, TRANSACTION
from couponctl.ledger.claims.strategy import Strategy

__all__ = ["BATCHED", "STATEMENT", "STRATEGIES", "TRANSACTION", "Strategy", "find_strategy"]

STRATEGIES = (STATEMENT, TRANSACTION, BATCHED)


def find_strategy(name: str) -> Strategy:
    """The strategy of that name; KeyError for none."""
    return {strategy.name: strategy for strategy in STRATEGIES}[name]
