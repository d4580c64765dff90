"""Counting what a server sends: messages in any pieces, each sending afresh, and no more than may come."""

from __future__ import annotations

import asyncio
import struct

import pytest

from couponctl.postgres.answer_limit import ANSWER, GREETING, Flood, Wire

ROW = b"D" + struct.pack("!ihi", 11, 1, 1) + b"v"


class Network(asyncio.Transport):
    """What a wire writes to, and hangs up."""

    def __init__(self) -> None:
        self.hung_up = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        self.hung_up = True


class Driver(asyncio.Protocol):
    """What a wire hands on to."""

    def __init__(self) -> None:
        self.received = b""
        self.lost_by: Exception | None = None

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_by = exc


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def wire(driver: Driver, network: Network) -> Wire:
    """A wire that has been logged in over."""
    wire = Wire(driver)
    wire.connection_made(network)
    wire.allow(ANSWER)
    wire.write(b"a question")
    return wire


@pytest.mark.parametrize("size", range(1, 2 * len(ROW)))
def test_messages_arrive_whole_in_pieces_of_any_size(
    wire: Wire, driver: Driver, network: Network, size: int
) -> None:
    sent = ROW * 20
    for start in range(0, len(sent), size):
        wire.data_received(sent[start : start + size])

    assert driver.received == sent
    assert not network.hung_up


@pytest.mark.parametrize("size", [1, 4, 7, 65536])
def test_a_header_of_too_much_is_enough(wire: Wire, driver: Driver, network: Network, size: int) -> None:
    sent = ROW + b"D" + struct.pack("!i", ANSWER) + bytes(8)
    for start in range(0, len(sent), size):
        wire.data_received(sent[start : start + size])
    wire.connection_lost(None)

    assert network.hung_up
    assert len(driver.received) <= len(ROW) + 4
    assert isinstance(driver.lost_by, Flood)


def test_many_small_rows_are_too_much_before_their_bytes_are(wire: Wire, network: Network) -> None:
    for _ in range(ANSWER // 100 // 1000):
        wire.data_received(ROW * 1000)

    assert network.hung_up


def test_each_sending_is_answered_afresh(wire: Wire, driver: Driver, network: Network) -> None:
    for _ in range(3):
        wire.write(b"a question")
        wire.data_received(b"D" + struct.pack("!i", ANSWER // 2) + bytes(ANSWER // 2 - 4))

    assert not network.hung_up
    assert len(driver.received) == 3 * (ANSWER // 2 + 1)


def test_a_greeting_is_short(driver: Driver, network: Network) -> None:
    wire = Wire(driver)
    wire.connection_made(network)

    wire.data_received(b"R" + struct.pack("!i", GREETING))

    assert network.hung_up
    assert driver.received == b""


def test_what_comes_behind_an_encryption_is_counted_from_its_start(wire: Wire, network: Network) -> None:
    encrypted = Driver()
    wire.data_received(b"S")
    wire.set_protocol(encrypted)
    wire.data_received(ROW)

    assert encrypted.received == ROW
    assert not network.hung_up
