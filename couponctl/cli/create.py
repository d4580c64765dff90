"""`couponctl create`."""

from __future__ import annotations

import re

import click

from couponctl.cli.documents import coupon_document
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import with_service
from couponctl.present import counted, safe


def _whole_number(_context: click.Context, _parameter: click.Parameter, digits: str) -> int:
    """Return the number, however large: `check_amount` refuses what is too large."""
    try:
        # int() itself refuses thousands of digits.
        return int(digits[:30] if re.fullmatch(r"[+-]?\d{30,}", digits, re.ASCII) else digits)
    except ValueError:
        raise click.BadParameter(f"{digits!r} is not a valid integer.") from None


class _Create(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A negative amount looks like an option; as an operand it gets an error about amounts.
        negative = [argument for argument in args if re.fullmatch(r"-\d+", argument)]
        if negative and "--" not in args:
            args = [*(argument for argument in args if argument not in negative), "--", *negative]
        return super().parse_args(ctx, args)


@click.command("create", cls=_Create)
@click.argument("name")
@click.argument("amount", callback=_whole_number)
@common_options
@pass_invocation
def command(invocation: Invocation, name: str, amount: int) -> None:
    """Create a coupon with AMOUNT units."""
    coupon = with_service(invocation, "create", lambda service: service.create(name, amount))
    if invocation.json:
        invocation.print_json(coupon_document(coupon))
    else:
        invocation.print(f"{safe(coupon.name)}: {counted(coupon.amount, 'unit')} on sale")
