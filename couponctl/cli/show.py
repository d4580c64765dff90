"""`couponctl show`."""

from __future__ import annotations

import click

from couponctl.cli.completion import coupon_names
from couponctl.cli.documents import coupon_document
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import with_service
from couponctl.present import safe, stock_line


@click.command("show")
@click.argument("name", shell_complete=coupon_names)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Users a page.")
@click.option("--after", metavar="USER", help="The page behind this user.")
@common_options
@pass_invocation
def command(invocation: Invocation, name: str, limit: int, after: str | None) -> None:
    """Show a coupon's stock, and who claimed it, by user id."""
    page = with_service(invocation, "show", lambda service: service.show(name, limit=limit, after=after))
    if invocation.json:
        invocation.print_json(
            {**coupon_document(page.coupon), "claimed_by": list(page.claimed_by), "next": page.next}
        )
        return
    invocation.print(stock_line(page.coupon))
    for user in page.claimed_by:
        invocation.print(f"  {safe(user)}")
    if page.next is not None:
        invocation.say("more: the same with --after and the last user above")
