"""The command palette (ctrl+p): coupons by name, drills, modes and the event log."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual.command import DiscoveryHit, Hit, Provider

from couponctl.drills.catalog import DRILLS
from couponctl.errors import CouponctlError
from couponctl.present import safe
from couponctl.tui.modes import MODES
from couponctl.tui.screens.claimants import ClaimantsScreen
from couponctl.tui.screens.forms import ClaimCoupon
from couponctl.tui.text import literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from textual.screen import Screen

    from couponctl.tui.dependencies import Dependencies

    Command = tuple[str, Callable[[], object], str]
    """Name, action and help."""


class Console(Protocol):
    """What the palette uses of the app."""

    dependencies: Dependencies

    def action_mode(self, mode: str) -> None: ...

    async def action_offer_drill(self, name: str) -> None: ...

    def action_events(self) -> None: ...

    def push_screen(self, screen: Screen[Any]) -> object: ...


_MOST = 8
"""Maximum number of coupons per search."""


class ConsoleCommands(Provider):
    """Commands for everything that has a name."""

    @property
    def _app(self) -> Console:
        return cast("Console", self.app)

    async def discover(self) -> AsyncIterator[DiscoveryHit]:
        for name, action, meaning in self._fixed():
            yield DiscoveryHit(literal(name), action, text=name, help=meaning)

    async def search(self, query: str) -> AsyncIterator[Hit]:
        matcher = self.matcher(query)
        for name, action, meaning in self._fixed():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, literal(name), action, text=name, help=meaning)
        async for name, action, meaning in self._coupons(query):
            # Not the matcher's own highlighting, which would read the name as markup.
            yield Hit(0.5, literal(name), action, text=safe(name), help=meaning)

    def _fixed(self) -> Iterator[Command]:
        for mode in MODES:
            yield f"go to {mode}", partial(self._app.action_mode, mode), "a mode"
        for drill in DRILLS:
            yield f"drill {drill.name}", partial(self._app.action_offer_drill, drill.name), drill.title
        yield "event log", self._app.action_events, "what happened in this session"

    async def _coupons(self, query: str) -> AsyncIterator[Command]:
        dependencies = self._app.dependencies
        words = query.split()
        try:
            page = await dependencies.client.list(matching=words[-1] if words else "", limit=_MOST)
        except CouponctlError:
            return  # the coupon table shows the error
        for coupon in page.coupons:
            show = partial(self._app.push_screen, ClaimantsScreen(dependencies, coupon.name))
            claim = partial(self._app.push_screen, ClaimCoupon(dependencies, coupon.name))
            yield f"show {coupon.name}", show, "stock and claimants"
            yield f"claim {coupon.name}", claim, "for a user"
