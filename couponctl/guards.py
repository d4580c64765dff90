"""What couponctl refuses to do to databases marked read-only or production."""

from __future__ import annotations

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


def name_to_type(settings: Settings) -> str:
    """Return the database's name if it must be typed to confirm; empty if a yes is enough."""
    if isinstance(settings.target, Embedded) or settings.environment != PRODUCTION:
        return ""
    return settings.target.database


def may_attack(settings: Settings, *, confirmed: str | None, agreed: bool) -> None:
    """Raise Guarded unless a drill or destructive command is confirmed; the embedded server is exempt.

    `agreed` is a yes to the question (--yes), `confirmed` the typed name of the database (--confirm),
    which production requires. Also raises as `may_write` does.
    """
    may_write(settings)
    if isinstance(settings.target, Embedded):
        return
    database = settings.target.database
    if name_to_type(settings) not in {"", confirmed}:
        raise Guarded(f"{settings.target.where} is production", f"To confirm: --confirm {database}")
    if not agreed and confirmed != database:
        raise Guarded(f"confirmation required on {settings.target.where}", "To confirm: --yes")
