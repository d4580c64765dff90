"""Drills: attacks on the claim path of a real server, each with a verdict that comes from the ledger."""

from __future__ import annotations
