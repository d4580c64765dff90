"""Typed reading of JSON from files: a value of another type is refused, never guessed."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, TypeVar, cast

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
    described = fields(cast("Any", kind))  # mypy has no type for "a dataclass"
    return kind(**{each.name: _plain(facts.anything(each.name), each) for each in described})


def _plain(value: Any, field: Field[Any]) -> Any:
    match field.type:
        case "Any":
            return value
        case "int":
            return whole(value, field.name)
        case "float":
            return number(value, field.name)
        case "float | None":
            return None if value is None else number(value, field.name)
        case "str":
            return of(str, value, field.name)
        case "bool":
            return of(bool, value, field.name)
    raise AssertionError(field)


def _shallow(value: Any, what: str, levels: int) -> Any:
    if not levels:
        raise _bad(what)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _shallow(each, what, levels - 1)
    return value


def _bad(what: str) -> Invalid:
    return Invalid("report", f"{what} is missing or not what a report holds")
