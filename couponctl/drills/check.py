"""The checks of a drill: expectations compared with what was observed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from couponctl.present.glyph import Glyph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from couponctl.models import Outcome


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation, compared with what was observed; both values are JSON-serializable."""

    id: str
    """The same in every version, however the expectation is worded: for scripts, and to compare runs."""
    promise: str
    expected: Any
    observed: Any
    held: bool

    @property
    def glyph(self) -> Glyph:
        return Glyph.PASSED if self.held else Glyph.FAILED


def equals(check_id: str, promise: str, expected: Any, observed: Any) -> Check:
    return Check(check_id, promise, expected, observed, held=expected == observed)


def none_of(check_id: str, promise: str, found: Iterable[str]) -> Check:
    """Return a check that holds if nothing was found; otherwise it names the first few."""
    names = sorted(found)
    return Check(check_id, promise, 0, f"{len(names)}: {some(names)}" if names else 0, held=not names)


def all_of(check_id: str, promise: str, number: int, failed: Iterable[str]) -> Check:
    """Return a check that holds if none of `number` failed; otherwise it names the first few."""
    names = sorted(failed)
    passed = f"{number - len(names)} of {number}"
    observed = f"{passed}, not {some(names)}" if names else passed
    return Check(check_id, promise, f"{number} of {number}", observed, held=not names)


def no_other(outcomes: Mapping[Outcome, int]) -> Check:
    """Return a check that holds if there were no outcomes but those that a drill expects."""
    others = ", ".join(f"{count} {outcome.value}" for outcome, count in outcomes.items())
    total = sum(outcomes.values())
    return Check("other-answers", "other answers", 0, f"{total}: {others}" if total else 0, held=not total)


def some(names: Sequence[str]) -> str:
    """Return the first five names and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"


def merged(by_coupon: Mapping[str, Sequence[Check]]) -> list[Check]:
    """Merge the checks of several coupons: each once if it holds, else once per coupon that breaks it."""
    together: dict[str, Check] = {}
    broken = []
    for coupon, checks in by_coupon.items():
        for check in checks:
            together.setdefault(check.id, check)
            if not check.held:
                broken.append(replace(check, promise=f"{check.promise} ({coupon})"))
    failed = {check.id for check in broken}
    return [check for check in together.values() if check.id not in failed] + broken
