"""`couponctl list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from couponctl.cli.documents import coupon_document, sight
from couponctl.cli.invocation import Invocation, common_options, pass_invocation
from couponctl.cli.open_service import with_service
from couponctl.cli.same_command import next_page
from couponctl.models import Sort
from couponctl.present import moment, safe, stock_state
from couponctl.present.table import Table, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.models import Coupon

_SORTS = [sort.value for sort in Sort]


@click.command("list")
@click.option("--filter", "matching", metavar="TEXT", default="", help="Only names that contain this.")
@click.option("--sort", type=click.Choice(_SORTS), default=Sort.NAME.value, show_default=True)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Coupons per page."
)
@click.option("--after", metavar="NAME", help="Start after this coupon.")
@common_options
@pass_invocation
def command(invocation: Invocation, matching: str, sort: str, limit: int, after: str | None) -> None:
    """List coupons with their stock."""
    page = with_service(
        invocation,
        "list",
        lambda service: service.list(matching=matching, sort=Sort(sort), limit=limit, after=after),
    )
    invocation.say_how_far(page.hidden)
    if invocation.json:
        invocation.print_json(
            {
                "coupons": [coupon_document(coupon) for coupon in page.coupons],
                "next": page.next,
                **sight(page.hidden),
            }
        )
        return
    if not page.coupons:
        found = f' with "{matching}" in its name' if matching else ""
        found += f' behind "{after}"' if after is not None else ""
        invocation.say("no coupon" + (found or ("" if page.hidden else "; create one first")))
        return
    for line in coupon_table(page.coupons).lines():
        invocation.print(line)
    if page.next is not None:
        invocation.say(f"more: {next_page(invocation.arguments, after, page.next)}")


def coupon_table(coupons: Sequence[Coupon]) -> Table:
    return Table(
        texts("NAME", "STATE") + numbers("LEFT", "TOTAL") + texts("CREATED"),
        [
            (safe(c.name), stock_state(c), f"{c.remaining_amount:,}", f"{c.amount:,}", moment(c.created_at))
            for c in coupons
        ],
    )
