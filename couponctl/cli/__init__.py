"""The command line, `couponctl`: a module per command, and modules that they share."""

from __future__ import annotations

from couponctl.cli.root import cli, run

__all__ = ["cli", "run"]
