"""The command line: `couponctl`. A module for each command, the rest is shared."""

from __future__ import annotations

from couponctl.cli.root import cli, run

__all__ = ["cli", "run"]
