"""`couponctl create`."""

from __future__ import annotations

import click

from couponctl.cli.documents import coupon_document
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.opened import with_service
from couponctl.present import counted, safe


@click.command("create")
@click.argument("name")
@click.argument("amount", type=int)
@common_options
@pass_invocation
def command(invocation: Invocation, name: str, amount: int) -> None:
    """Create a coupon with AMOUNT units."""
    coupon = with_service(invocation, "create", lambda service: service.create(name, amount))
    if invocation.json:
        invocation.print_json(coupon_document(coupon))
    else:
        invocation.print(f"{safe(coupon.name)}: {counted(coupon.amount, 'unit')} on sale")
