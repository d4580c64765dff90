"""`make quick` is chosen by fixtures: what starts no server and opens no console is in it, by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from couponctl import embedded
from tests.support.hostile import hostile_server

if TYPE_CHECKING:
    from collections.abc import Callable


def is_marked(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("quick") is not None


@pytest.fixture
def way_to_a_server() -> Callable[..., object]:
    """Starts nothing, but could."""
    return embedded.start


@pytest.fixture
def what_needs_it(way_to_a_server: object) -> object:
    return way_to_a_server


@pytest.fixture
def opened() -> str:
    """Called as the fixture that opens a console."""
    return "a console"


def test_a_test_without_a_server_is_quick(request: pytest.FixtureRequest) -> None:
    assert is_marked(request)


def test_a_test_with_a_directory_of_its_own_is_quick(
    request: pytest.FixtureRequest, tmp_path: object
) -> None:
    assert is_marked(request)


def test_a_test_with_a_database_is_not(request: pytest.FixtureRequest, database_url: str) -> None:
    assert not is_marked(request)


def test_a_test_whose_fixtures_need_one_that_starts_a_server_is_not(
    request: pytest.FixtureRequest, what_needs_it: object
) -> None:
    assert not is_marked(request)


def test_a_test_that_could_start_a_server_itself_is_not(request: pytest.FixtureRequest) -> None:
    assert not is_marked(request), embedded.start


def pretended() -> object:
    return hostile_server


def test_a_test_whose_helpers_pretend_to_be_a_server_is_not(request: pytest.FixtureRequest) -> None:
    assert not is_marked(request), pretended()


def test_a_test_that_opens_a_console_is_not(request: pytest.FixtureRequest, opened: str) -> None:
    assert not is_marked(request)


@pytest.mark.soak
def test_a_storm_is_not(request: pytest.FixtureRequest) -> None:
    assert not is_marked(request)
