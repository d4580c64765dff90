"""Drills: attacks on the claim path of a real server, each with a verdict derived from the ledger."""

from __future__ import annotations
