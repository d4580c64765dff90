"""Drill runs are saved as they end, for `couponctl runs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from couponctl.drills.reports.store import RunStore, default_directory
from couponctl.errors import CouponctlError

if TYPE_CHECKING:
    from couponctl.cli.invocation import Invocation
    from couponctl.drills.reports.report import Report


class RunSaver:
    """Saves the runs of one command. If that fails it says so once, and the command goes on."""

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._refused = False

    def save(self, report: Report) -> None:
        try:
            RunStore(default_directory()).save(report, made_by="cli")
        except CouponctlError as error:
            if not self._refused:
                self._invocation.say(f"couponctl: this run was not saved: {error}")
            self._refused = True
