"""What couponctl refuses to do to a database that the operator has marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.errors import BadSettings, Guarded
from couponctl.postgres.libpq import Server
from couponctl.settings import Embedded

if TYPE_CHECKING:
    from couponctl.settings import Settings

PRODUCTION = "production"


def may_write(settings: Settings) -> None:
    """Refuse where the context is read-only, or no host that takes writes is wanted.

    Raises Guarded, BadSettings.
    """
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
    """The database's name where it must be typed out to agree; empty where a yes is enough."""
    if isinstance(settings.target, Embedded) or settings.environment != PRODUCTION:
        return ""
    return settings.target.database


def may_attack(settings: Settings, *, confirmed: str | None, agreed: bool) -> None:
    """Refuse to drill or destroy where nobody has agreed to it; the embedded server is free for all.

    `agreed` is the answer to the question (--yes), `confirmed` the database's name typed out
    (--confirm), which production wants. Raises Guarded.
    """
    may_write(settings)
    if isinstance(settings.target, Embedded):
        return
    database = settings.target.database
    if name_to_type(settings) not in {"", confirmed}:
        raise Guarded(f"{settings.target.where} is production", f"To confirm: --confirm {database}")
    if not agreed and confirmed != database:
        raise Guarded(f"confirmation required on {settings.target.where}", "To confirm: --yes")
