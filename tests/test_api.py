"""The API: what `couponctl.__all__` names is there, documented and typed, and nothing is missing from it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, assert_type, get_args

import pytest

import couponctl
from couponctl import (
    Attempt,
    Audit,
    Claim,
    Claimants,
    Coupon,
    CouponctlError,
    CouponPage,
    CouponService,
    Outcome,
    StrategyName,
    errors,
    models,
    open_service,
    service,
)
from couponctl.ledger.claims import STRATEGIES

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

API = {name: getattr(couponctl, name) for name in couponctl.__all__}
CLASSES = {name: found for name, found in API.items() if inspect.isclass(found)}
METHODS = {
    name: method
    for name, method in inspect.getmembers(CouponService, inspect.isfunction)
    if not name.startswith("_")
}
PAGE = (Path(__file__).parents[1] / ".github" / "docs" / "library.md").read_text("utf-8")
OWN = {
    name for module in (models, errors, service) for name, _ in inspect.getmembers(module, inspect.isclass)
}


def words(text: object) -> set[str]:
    return set(re.findall(r"\w+", str(text)))


@pytest.mark.parametrize("name", sorted({*CLASSES, "open_service"}))
def test_every_name_says_what_it_is(name: str) -> None:
    assert inspect.isfunction(API[name]) or "__doc__" in vars(API[name])
    assert inspect.cleandoc(API[name].__doc__ or "")[:1].isupper() or issubclass(API[name], CouponctlError)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_says_what_it_does(name: str) -> None:
    assert METHODS[name].__doc__
    assert "return" in METHODS[name].__annotations__


def test_every_argument_of_the_door_is_explained() -> None:
    arguments = inspect.signature(open_service).parameters

    assert [name for name in arguments if f"`{name}`" not in (open_service.__doc__ or "")] == []


def test_the_readme_shows_the_door_as_it_is() -> None:
    signature = inspect.signature(open_service)
    bare = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    shown = signature.replace(parameters=bare, return_annotation=signature.empty)

    assert f"`open_service{shown}`".replace("'", '"') in PAGE


@pytest.mark.parametrize("name", sorted({*CLASSES, *METHODS, "open_service"}))
def test_what_the_api_names_is_in_the_api(name: str) -> None:
    found = METHODS.get(name) or API[name]
    annotated = vars(found).get("__annotations__", {}).values()
    named = words(found.__doc__) | set().union(*map(words, annotated))

    assert named & OWN <= {*couponctl.__all__, "Labelled"}


def test_the_names_of_strategies_are_those_that_there_are() -> None:
    assert get_args(StrategyName) == tuple(strategy.name for strategy in STRATEGIES)


def test_what_is_not_in_the_api_is_not_found() -> None:
    with pytest.raises(AttributeError, match="open_servce"):
        couponctl.open_servce  # type: ignore[attr-defined]  # noqa: B018 - mypy has to notice it, too
    assert set(couponctl.__all__) <= set(dir(couponctl))


async def types_that_a_caller_sees(opened: CouponService) -> None:
    """Never called: mypy proves it."""
    assert_type(await opened.claim("SPRING", "alice"), Attempt)
    assert_type(await opened.create("SPRING", 10), Coupon)
    assert_type(await opened.show("SPRING"), Claimants)
    assert_type(await opened.find_claim("SPRING", "alice"), Claim | None)
    assert_type(await opened.list(), CouponPage)
    assert_type(await opened.verify(), Audit)
    attempt = await opened.claim("SPRING", "alice")
    assert_type(attempt.outcome, Outcome)
    assert_type(attempt.outcome.status, int)
    assert_type(attempt.refusal, CouponctlError | None)
    door: AbstractAsyncContextManager[CouponService] = open_service("postgresql://db", strategy="batched")
    async with door as service_of_the_door:
        assert_type(service_of_the_door, CouponService)
    open_service(strategy="bached")  # type: ignore[arg-type]
