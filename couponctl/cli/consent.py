"""The operator's consent, before anything is done to a server that others use."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click

from couponctl.guards import consent_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from couponctl.cli.invocation import Invocation
    from couponctl.settings import Settings

F = TypeVar("F", bound="Callable[..., Any]")


def consent_options(function: F) -> F:
    """Add options for agreeing without a prompt to a command."""
    name_it = click.option(
        "--confirm", metavar="DATABASE", help="Confirm by the name of the database; required for production."
    )
    agree = click.option("--yes", is_flag=True, help="Confirm, for a server that is not the embedded one.")
    return agree(name_it(function))


def ask(
    invocation: Invocation, settings: Settings, plan: Iterable[str], *, yes: bool, confirm: str | None
) -> None:
    """Say what will be done and ask once; the embedded server is the operator's own and needs no consent.

    Without a terminal nothing prompts: --yes agrees, and production requires its name with --confirm. Raises
    Guarded, and BadSettings for a server that takes no writes.
    """
    consent = consent_for(settings)
    if consent is None:
        return
    agreed = yes
    if sys.stdin.isatty() and not yes and confirm is None:
        invocation.say(f"On {consent.where} this will")
        for line in plan:
            invocation.say(f"  {line}")
        if consent.production:
            confirm = click.prompt("This is PRODUCTION. Type the database's name to continue", err=True)
        else:
            agreed = click.confirm("Continue?", err=True)
    consent.check(agreed=agreed, typed=confirm)
