"""Typed reading of JSON from files: a value of another type is refused, never guessed."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

from couponctl.errors import Invalid

T = TypeVar("T")

_MOST = 1e15
"""No count or time of a drill comes near it; infinities and NaN are not within it either."""
_DEEPEST = 8
"""Maximum depth of nested values: endless nesting could not be shown."""


class Facts:
    """The fields of a JSON object. Each method raises Invalid if the value is of another type."""

    def __init__(self, document: object) -> None:
        self._fields = of(dict, document, "it")

    def one(self, field: str, kind: type[T]) -> T:
        return of(kind, self.anything(field), field)

    def perhaps(self, field: str, kind: type[T]) -> T | None:
        return None if self.anything(field) is None else self.one(field, kind)

    def given(self, field: str, kind: type[T], *, otherwise: T) -> T:
        """Return a field that old reports lack, or `otherwise`."""
        return self.one(field, kind) if field in self._fields else otherwise

    def number(self, field: str) -> float:
        return number(self.anything(field), field)

    def numbers(self, field: str) -> dict[str, float]:
        return {name: number(value, name) for name, value in self.table(field).items()}

    def table(self, field: str) -> dict[str, Any]:
        return self.one(field, dict)

    def items(self, field: str) -> list[Any]:
        return self.one(field, list)

    def anything(self, field: str) -> Any:
        """Return any JSON value that is not nested too deeply to be shown."""
        if field not in self._fields:
            raise _bad(field)
        return _shallow(self._fields[field], field, _DEEPEST)


def of(kind: type[T], value: object, what: str) -> T:
    """Return the value if it has exactly that type: for isinstance, True is an int. Raises Invalid."""
    if type(value) is not kind:
        raise _bad(what)
    return value


def number(value: object, what: str) -> float:
    """A finite count or time; whole ones stay whole. Raises Invalid."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise _bad(what)
    return value


def whole(value: object, what: str) -> int:
    """A count. Raises Invalid."""
    return of(int, number(value, what), what)


def flat(kind: type[T], document: object) -> T:
    """Build a dataclass of plain values from a document, which may hold other fields too. Raises Invalid."""
    facts = Facts(document)
    types = get_type_hints(kind)
    return kind(**{name: _plain(facts.anything(name), of_type, name) for name, of_type in types.items()})


def _plain(value: Any, of_type: Any, what: str) -> Any:
    if of_type is Any or (of_type == float | None and value is None):
        return value
    if of_type is int:
        return whole(value, what)
    if of_type in (float, float | None):
        return number(value, what)
    assert of_type in (str, bool)
    return of(of_type, value, what)


def _shallow(value: Any, what: str, levels: int) -> Any:
    if not levels:
        raise _bad(what)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _shallow(each, what, levels - 1)
    return value


def _bad(what: str) -> Invalid:
    return Invalid("report", f"{what} is missing or not what a report holds")
