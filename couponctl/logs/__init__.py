"""Loggers that are silent until somebody listens; who does not ask for a log sees nothing of it.

A message is one sentence with the facts that an operator needs. Never in it: SQL and its parameters, so no
coupon and no user; passwords; and the text of an error that may quote them, such as a trigger's.
"""

from __future__ import annotations

import logging

ROOT = "couponctl"

# Without a handler, Python itself would print warnings to stderr.
logging.getLogger(ROOT).addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """Return `logging.getLogger(name)`; `name` is the module's `__name__`."""
    return logging.getLogger(name)
