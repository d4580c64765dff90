"""What couponctl refuses to do to databases marked read-only or production."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from couponctl.errors import BadSettings, Guarded
from couponctl.postgres.libpq import Server
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from couponctl.settings import Settings

PRODUCTION = "production"


def may_write(settings: Settings) -> None:
    """Raise Guarded if the context is read-only, BadSettings if it accepts only hosts that take no writes."""
    if settings.read_only:
        raise Guarded(
            f"{settings.target.where} is marked read-only",
            "Choose another context, or take read_only out of this one in config.toml",
        )
    target = settings.target
    if isinstance(target, Server) and target.only_reads:
        raise BadSettings(
            f"target_session_attrs={target.session_attrs} looks for a server that takes no writes",
            "Leave it out to write; with it couponctl can only list, show, verify and watch.",
        )


@dataclass(frozen=True, slots=True)
class RequiredConsent:
    """The consent that a server requires before a drill or a destructive command."""

    where: str
    database: str
    production: bool
    """The name of the database must be typed; elsewhere a yes is enough."""

    @property
    def word(self) -> str:
        """What the operator must type; empty if a yes is enough."""
        return self.database if self.production else ""

    @property
    def option(self) -> str:
        """The option that gives this consent on the command line."""
        return f"--confirm {self.database}" if self.production else "--yes"

    def check(self, *, agreed: bool, typed: str | None) -> None:
        """Raise Guarded unless the operator `agreed` or, which suffices everywhere, `typed` the name."""
        if typed == self.database or (agreed and not self.production):
            return
        if self.production:
            raise Guarded(f"{self.where} is production", f"To confirm: {self.option}")
        raise Guarded(f"confirmation required on {self.where}", f"To confirm: {self.option}")


def consent_for(settings: Settings) -> RequiredConsent | None:
    """Return the consent that the server requires; None for the private one. Raises as `may_write` does."""
    may_write(settings)
    target = settings.target
    if isinstance(target, Embedded):
        return None
    return RequiredConsent(target.where, target.database, settings.environment == PRODUCTION)
