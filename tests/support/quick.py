"""Which tests are quick: those that start no server and no console, by their code and their fixtures'."""

from __future__ import annotations

import inspect
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_STARTERS = {
    "couponctl.embedded",
    "tests.support.fake_servers",
    "tests.support.hostile",
    "tests.support.servers",
}
"""Modules that start a server, real or pretended."""

_SLOW_FIXTURES = {"open_directory", "opened"}
"""The directory of a server; the console, which takes seconds to draw."""

_SLOW_MARKS = ("ci", "soak", "benchmark")


def is_quick(item: pytest.Item) -> bool:
    """Return whether `make quick` runs the test."""
    if any(item.get_closest_marker(name) for name in _SLOW_MARKS):
        return False
    if _SLOW_FIXTURES & set(getattr(item, "fixturenames", ())):
        return False
    return not any(map(_starts_a_server, _functions(item)))


def _functions(item: pytest.Item) -> Iterator[Any]:
    """Yield the test, and every fixture that it needs directly or by way of others."""
    yield getattr(item, "function", None)
    closure = getattr(item, "_fixtureinfo", None)
    for definitions in closure.name2fixturedefs.values() if closure else ():
        for definition in definitions:
            yield definition.func


@cache
def _starts_a_server(function: Any) -> bool:
    """Return whether the code of a function, or of a function of the tests that it calls, names a starter."""
    seen: set[Any] = set()
    waiting = [function]
    while waiting:
        written = inspect.unwrap(waiting.pop())  # not what hypothesis and others wrapped it in
        if not isinstance(written, FunctionType) or written in seen:
            continue
        seen.add(written)
        for value in map(written.__globals__.get, _names(written.__code__)):
            home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if home in _STARTERS:
                return True
            if str(home).startswith("tests."):
                waiting.append(value)
    return False


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # a function within
            yield from _names(constant)
