"""The option that keeps the tables of a drill or a bench out of publications."""

from __future__ import annotations

import click

unlogged_option = click.option(
    "--unlogged",
    is_flag=True,
    help="Make its tables UNLOGGED: they are not replicated, and nothing is proven about a crash.",
)
