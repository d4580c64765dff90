"""Where an error was raised, in words that quote nothing of it."""

from __future__ import annotations

import traceback
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def raised(error: BaseException) -> str:
    """Return the error's type and its place in couponctl; not its text, which may quote a parameter."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    at = f" at {Path(own[-1].filename).relative_to(_PACKAGE)}:{own[-1].lineno}" if own else ""
    return f"{type(error).__name__}{at}"
