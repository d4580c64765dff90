"""What Textual does again and again in tests and need not: waits by the clock, and parsing of CSS."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from textual.css.stylesheet import Stylesheet

if TYPE_CHECKING:
    from textual.css.model import RuleSet

_MOMENT = 0.002
"""Seconds in which threads and sockets may set off something new."""


async def until_idle(min_sleep: float = 0, max_sleep: float = 1) -> None:
    """Wait until the event loop has nothing to do, and has not found anything in two moments.

    Textual's own waits until the process takes little time of the processor in 20 ms, which is longer, and on
    a busy machine too short: a process that waits for the processor looks idle.
    """
    deadline = monotonic() + max_sleep
    earliest = monotonic() + min_sleep
    quiet = 0
    while (quiet < 2 or monotonic() < earliest) and monotonic() < deadline:
        await asyncio.sleep(_MOMENT)
        quiet = quiet + 1 if _nothing_to_do() else 0


def _nothing_to_do() -> bool:
    loop: Any = asyncio.get_running_loop()
    threads = loop._default_executor
    return not loop._ready and (threads is None or threads._work_queue.empty())


_parse = Stylesheet._parse_rules
_parsed: dict[tuple[object, ...], list[RuleSet]] = {}


def parsed_once(stylesheet: Stylesheet, *css: Any, **how: Any) -> list[RuleSet]:
    """The rules of some CSS, parsed by the first console that has it in these colours."""
    key = (css, *how.items(), *stylesheet._variables.items())
    if key not in _parsed:
        _parsed[key] = _parse(stylesheet, *css, **how)
    return _parsed[key]
