"""`couponctl show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import claim_document, coupon_document, sight
from couponctl.cli.exit_codes import ExitCode
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import with_service
from couponctl.cli.same_command import next_page
from couponctl.present import claim_words, safe, stock_line

if TYPE_CHECKING:
    from couponctl.models import Claimants


@click.command("show")
@click.argument("name", shell_complete=coupon_names)
@click.option("--user", metavar="USER", help="Say whether this user got it; exit code 12 if not.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Users per page."
)
@click.option("--after", metavar="USER", help="Start after this user.")
@common_options
@pass_invocation
def command(invocation: Invocation, name: str, user: str | None, limit: int, after: str | None) -> ExitCode:
    """Show a coupon's stock, and who claimed it, by user id."""
    if user is not None:
        return _show_claim(invocation, name, user)
    page = with_service(invocation, "show", lambda service: service.show(name, limit=limit, after=after))
    _show_page(invocation, page, after)
    return ExitCode.OK


def _show_claim(invocation: Invocation, name: str, user: str) -> ExitCode:
    claim = with_service(invocation, "show", lambda service: service.find_claim(name, user))
    if invocation.json:
        invocation.print_json({"name": name, "user_id": user, "claim": claim and claim_document(claim)})
    else:
        invocation.print(claim_words(name, user, claim))
    return ExitCode.NOT_FOUND if claim is None else ExitCode.OK


def _show_page(invocation: Invocation, page: Claimants, after: str | None) -> None:
    invocation.say_how_far(page.hidden)
    if invocation.json:
        claimants = {"claimed_by": list(page.claimed_by), "next": page.next}
        invocation.print_json({**coupon_document(page.coupon), **claimants, **sight(page.hidden)})
        return
    invocation.print(stock_line(page.coupon))
    for user in page.claimed_by:
        invocation.print(f"  {safe(user)}")
    if page.next is not None:
        invocation.say(f"more: {next_page(invocation.arguments, after, page.next)}")
