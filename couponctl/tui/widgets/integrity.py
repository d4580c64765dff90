"""The integrity pane: what the last audit of the ledger found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.present import counted, finding_line
from couponctl.present.glyph import Glyph
from couponctl.tui.text import Tone, lines, literal
from couponctl.tui.widgets.pane import LiveText, Pane

if TYPE_CHECKING:
    from datetime import datetime

    from couponctl.models import Audit


class IntegrityPane(Pane):
    """Green if counters and claims agreed in the last audit."""

    def __init__(self) -> None:
        self._figures = LiveText(classes="fill")
        super().__init__("Integrity", self._figures, id="integrity")

    def on_mount(self) -> None:
        self._figures.show(literal(f"{Glyph.PENDING} not verified yet: press v", Tone.DIM))

    def working(self) -> None:
        self._figures.show(literal(f"{Glyph.PENDING} reading the ledger", Tone.DIM))

    def failed(self, sentence: str) -> None:
        self._figures.show(literal(f"{Glyph.UNDECIDED} {sentence}", Tone.WARN))

    def found(self, audit: Audit, at: datetime) -> None:
        read = f"{counted(audit.coupons, 'coupon')}, {counted(audit.claims, 'claim')}"
        if audit.ok:
            held = f"{Glyph.PASSED} {read}: balanced"
            self._figures.show(lines(literal(held, Tone.GOOD), literal(f"  at {at:%H:%M:%S}", Tone.DIM)))
            return
        if audit.hidden and not audit.findings:
            seen = f"{Glyph.UNDECIDED} {read} seen: sound"
            why = "  row-level security hides the rest"
            self._figures.show(lines(literal(seen, Tone.WARN), literal(why, Tone.DIM)))
            return
        words = f"{Glyph.FAILED} {counted(len(audit.findings), 'finding')} at {at:%H:%M:%S}"
        findings = [literal(finding_line(finding), Tone.BAD) for finding in audit.findings]
        self._figures.show(lines(literal(words, Tone.BAD), *findings))
