"""The coupon under the cursor: its stock, its rate, its newest claimants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.present import moment, stock_state
from couponctl.tui.rates import rate_words
from couponctl.tui.text import Tone, glyph_tone, joined, lines, literal
from couponctl.tui.widgets.gauges import gauge_content
from couponctl.tui.widgets.pane import LiveText, Pane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from couponctl.models import Claim, Coupon


class SelectedPane(Pane):
    """One coupon."""

    def __init__(self) -> None:
        self._figures = LiveText(classes="fill")
        super().__init__("Selected", self._figures, id="selected")

    def apply(self, coupon: Coupon | None, rate: float, newest: Sequence[Claim] | None) -> None:
        """`newest` is None if it is not known."""
        if coupon is None:
            self._figures.show(literal("no coupon is selected", Tone.DIM))
            return
        state = stock_state(coupon)
        width = self._figures.size.width
        shown = [
            literal(coupon.name, Tone.STRONG),
            joined(literal(state, glyph_tone(state)), literal(f"  {rate_words(rate)} claims/s")),
            gauge_content(coupon.remaining_amount, coupon.amount, width),
            literal(f"{coupon.remaining_amount:,} of {coupon.amount:,} left"),
            literal(f"{coupon.claimed_amount:,} claimed"),
            literal(f"created {moment(coupon.created_at)}", Tone.DIM),
        ]
        if newest is not None:
            shown.append(literal("newest claimants" if newest else "no claims yet", Tone.DIM))
            shown += [literal(f"  {claim.user_id}") for claim in newest]
        self._figures.show(lines(*shown))
