"""The locked claim in several strategies, all with one contract.

1. Answers, in this precedence: not found, already claimed, sold out, claimed. A claimant who tries again
   after the sale gets "already claimed".
2. The coupon's row is locked from the stock check to the commit.
3. After every commit, remaining_amount = amount - count(claims): the stock is reduced by what was inserted.
   Decrementing first and inserting with ON CONFLICT DO NOTHING silently loses a unit to every duplicate.
"""

from __future__ import annotations

from couponctl.ledger.claims.batcher import BATCHED
from couponctl.ledger.claims.single import STATEMENT, TRANSACTION
from couponctl.ledger.claims.strategy import Strategy

__all__ = ["BATCHED", "STATEMENT", "STRATEGIES", "TRANSACTION", "Strategy", "find_strategy"]

STRATEGIES = (STATEMENT, TRANSACTION, BATCHED)


def find_strategy(name: str) -> Strategy:
    """Return the strategy of that name. Raises KeyError."""
    return {strategy.name: strategy for strategy in STRATEGIES}[name]
