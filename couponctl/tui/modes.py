"""The console's modes."""

from __future__ import annotations

MODES = ("coupons", "drills", "pool", "runs")
"""In the order of their keys, from 1."""
