"""`couponctl doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from couponctl.cli.exits import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import with_database
from couponctl.present import aligned, safe


@click.command("doctor")
@common_options
@pass_invocation
def command(invocation: Invocation) -> ExitCode:
    """Look at connection, version, privileges, tables and limits: what is wrong, and how to mend it.

    Exit code 2 when a sale would not work.
    """
    from couponctl.doctor import State, diagnose  # noqa: PLC0415 - only this needs SQLAlchemy

    findings = with_database(invocation, "doctor", diagnose)
    wrong = any(finding.state is State.WRONG for finding in findings)
    if invocation.json:
        invocation.print_json({"ok": not wrong, "checks": [asdict(finding) for finding in findings]})
    else:
        glyphs = {State.OK: "✔", State.WARNING: "!", State.WRONG: "✘"}
        rows = [
            (
                glyphs[f.state],
                f.subject,
                safe(" ".join(filter(None, [f.detail, f.remedy and f"- {f.remedy}"]))),
            )
            for f in findings
        ]
        invocation.print_lines(aligned(rows, "<<<"))
    return ExitCode.INVALID if wrong else ExitCode.OK
