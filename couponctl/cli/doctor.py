"""`couponctl doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from couponctl.cli.exit_codes import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import settings_of, with_database
from couponctl.errors import CouponctlError, Unavailable
from couponctl.present import safe
from couponctl.present.glyph import Glyph
from couponctl.present.table import Table, texts

if TYPE_CHECKING:
    from couponctl.ledger.doctor import Diagnosis
    from couponctl.postgres.database import Database


@click.command("doctor")
@common_options
@pass_invocation
def command(invocation: Invocation) -> ExitCode:
    """Check everything from the settings to the tables: what is wrong, and how to fix it.

    Exit code 0: every command works; 3: the server cannot be reached; 2: anything else is wrong.
    """
    from couponctl.ledger.doctor import State, is_unreachable  # noqa: PLC0415 - only this needs SQLAlchemy

    findings = _findings(invocation)
    wrong = any(finding.state is State.WRONG for finding in findings)
    if invocation.json:
        invocation.print_json({"ok": not wrong, "checks": [asdict(finding) for finding in findings]})
    else:
        glyphs = {
            State.OK: Glyph.PASSED,
            State.WARNING: Glyph.WARNING,
            State.WRONG: Glyph.FAILED,
            State.SKIPPED: Glyph.SKIPPED,
        }
        rows = [
            (
                glyphs[f.state],
                f.subject,
                safe(" ".join(filter(None, [f.detail, f.remedy and f"- {f.remedy}"]))),
            )
            for f in findings
        ]
        invocation.print_lines(Table(texts("", "", ""), rows).lines())
    if is_unreachable(findings):
        return ExitCode.UNAVAILABLE
    return ExitCode.INVALID if wrong else ExitCode.OK


def _findings(invocation: Invocation) -> tuple[Diagnosis, ...]:
    from couponctl.ledger.doctor import diagnose, not_begun  # noqa: PLC0415

    try:
        settings = settings_of(invocation)
    except CouponctlError as error:
        return not_begun(error)

    async def look(database: Database) -> tuple[Diagnosis, ...]:
        return await diagnose(database, settings)

    try:
        return with_database(invocation, "doctor", look)
    except CouponctlError as error:  # the embedded server does not start
        return not_begun(error, "server" if isinstance(error, Unavailable) else "settings")
