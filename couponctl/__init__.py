"""couponctl: the terminal console for people who run flash sales on PostgreSQL."""

from __future__ import annotations

__version__ = "0.1.0"
