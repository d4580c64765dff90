"""`couponctl doctor`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from couponctl.cli.exit_codes import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import settings_of, with_database
from couponctl.errors import CouponctlError, Unavailable
from couponctl.present import safe, without_home
from couponctl.present.glyph import Glyph
from couponctl.present.table import Table, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from couponctl.ledger.doctor import Diagnosis
    from couponctl.ledger.doctor.server_settings import ServerSetting
    from couponctl.postgres.database import Database
    from couponctl.settings import Settings


@dataclass(frozen=True, slots=True)
class _Examined:
    """What there is to say of a database."""

    findings: tuple[Diagnosis, ...]
    settings: Settings | None = None
    """None if they cannot be used."""
    of_server: tuple[ServerSetting, ...] = ()
    """Only for a report."""


@click.command("doctor")
@click.option("--report", is_flag=True, help="Print all that a bug report needs; no password, no coupon.")
@common_options
@pass_invocation
def command(invocation: Invocation, report: bool) -> ExitCode:
    """Check everything from the settings to the tables: what is wrong, and how to fix it.

    Exit code 0: every command works; 3: the server cannot be reached; 2: anything else is wrong.
    """
    from couponctl.ledger.doctor import State, is_unreachable  # noqa: PLC0415 - only this needs SQLAlchemy

    examined = _examined(invocation, report=report)
    findings = examined.findings
    wrong = any(finding.state is State.WRONG for finding in findings)
    document = {"ok": not wrong, "checks": [asdict(finding) for finding in findings]}
    if report:
        _report(invocation, examined, document)
    elif invocation.json:
        invocation.print_json(document)
    else:
        invocation.print_lines(_lines(findings))
    if is_unreachable(findings):
        return ExitCode.UNAVAILABLE
    return ExitCode.INVALID if wrong else ExitCode.OK


def _lines(findings: tuple[Diagnosis, ...]) -> Iterator[str]:
    from couponctl.ledger.doctor import State  # noqa: PLC0415

    glyphs = {
        State.OK: Glyph.PASSED,
        State.WARNING: Glyph.WARNING,
        State.WRONG: Glyph.FAILED,
        State.SKIPPED: Glyph.SKIPPED,
    }
    rows = [
        (glyphs[f.state], f.subject, safe(" ".join(filter(None, [f.detail, f.remedy and f"- {f.remedy}"]))))
        for f in findings
    ]
    return Table(texts("", "", ""), rows).lines()


def _report(invocation: Invocation, examined: _Examined, document: dict[str, Any]) -> None:
    from couponctl.cli.bug_report import bug_report  # noqa: PLC0415 - only for --report

    report = bug_report(invocation, examined.settings, examined.of_server)
    if invocation.json:
        invocation.print_json({**document, **asdict(report)})
        return
    for line in report.lines(map(without_home, _lines(examined.findings))):
        invocation.print(line)


def _examined(invocation: Invocation, *, report: bool) -> _Examined:
    from couponctl.ledger.doctor import diagnose, not_begun  # noqa: PLC0415

    try:
        settings = settings_of(invocation)
    except CouponctlError as error:
        return _Examined(not_begun(error))

    async def look(database: Database) -> _Examined:
        examined = _Examined(await diagnose(database, settings), settings)
        return await _with_server(examined, database) if report else examined

    try:
        return with_database(invocation, "doctor", look)
    except CouponctlError as error:  # the embedded server does not start
        subject = "server" if isinstance(error, Unavailable) else "settings"
        return _Examined(not_begun(error, subject), settings)


async def _with_server(examined: _Examined, database: Database) -> _Examined:
    from couponctl.ledger.doctor.server_settings import server_settings  # noqa: PLC0415

    try:
        async with database.session("AUTOCOMMIT") as session:
            return replace(examined, of_server=await server_settings(session))
    except CouponctlError:  # doctor has said why
        return examined
