"""`couponctl verify`."""

from __future__ import annotations

import click

from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import audit_document
from couponctl.cli.exit_codes import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import with_service
from couponctl.present import audit_words, finding_line
from couponctl.present.glyph import Glyph


@click.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=coupon_names)
@common_options
@pass_invocation
def command(invocation: Invocation, names: tuple[str, ...]) -> ExitCode:
    """Audit the ledger: every counter against its claims, in one snapshot.

    Finds oversold coupons, lost stock, negative stock, duplicates, claims without a coupon, and rules that
    the tables lack. Exit code 20 when something is found; 22 when nothing is, and row-level security hides
    a part of the ledger from the role.
    """
    audit = with_service(invocation, "verify", lambda service: service.verify(names))
    if invocation.json:
        invocation.print_json(audit_document(audit))
    else:
        for finding in audit.findings:
            invocation.print(finding_line(finding))
        for doubt in audit.not_told:
            invocation.say(f"{Glyph.UNDECIDED} {doubt}")
        invocation.say(audit_words(audit))
    invocation.say_how_far(audit.hidden)
    if audit.findings:
        return ExitCode.VIOLATED
    return ExitCode.INCONCLUSIVE if audit.inconclusive else ExitCode.OK
