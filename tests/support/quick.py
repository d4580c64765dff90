"""Which tests are quick: those whose fixtures, all the way down, start no server and open no console."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

_STARTERS = {"embedded", "servers"}
"""Names by which code of the tests starts a server."""

_SLOW_FIXTURES = {"open_directory", "opened"}
"""The directory of a server; the console, which takes seconds to draw."""

_SLOW_MARKS = ("ci", "soak", "benchmark")


def is_quick(item: pytest.Item) -> bool:
    """Return whether `make quick` runs the test."""
    if any(item.get_closest_marker(name) for name in _SLOW_MARKS):
        return False
    if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
        return False
    return not any(_names_a_starter(function) for function in _functions(item))


def _functions(item: pytest.Item) -> Iterator[Callable[..., Any]]:
    """Yield the test, and every fixture that it needs directly or by way of others."""
    function = getattr(item, "function", None)
    if function is not None:
        yield function
    closure = getattr(item, "_fixtureinfo", None)
    for definitions in closure.name2fixturedefs.values() if closure else ():
        for definition in definitions:
            yield definition.func


def _names_a_starter(function: Callable[..., Any]) -> bool:
    # A test of hypothesis is wrapped, and so are others: what counts is what was written.
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and bool(_STARTERS & set(code.co_names))
