"""What the storm is made with does what it says: wires that cut and fall silent, a wrong clock."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.wires import Wire, Wires
from tests.support.house import CHECKOUT
from tests.support.threads import until

SKEWED = """
import datetime, time
from datetime import UTC
now = datetime.datetime.now(UTC)
assert isinstance(now, datetime.datetime)
assert type(datetime.datetime(2026, 1, 1)) is type(now)
print(time.time(), time.time_ns() / 1e9, now.timestamp(), time.monotonic())
"""


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that says everything back."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listening.accept()[0],)).start()

        def answer(one: socket.socket) -> None:
            with one, contextlib.suppress(OSError):
                while said := one.recv(100):
                    one.sendall(said)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def wires() -> Iterator[Wires]:
    """Return a thread of wires."""
    made = Wires()
    yield made
    made.close()


def call(wire: Wire) -> socket.socket:
    """Connect through the wire and be heard."""
    one = socket.create_connection(("127.0.0.1", wire.port), timeout=10)
    one.sendall(b"hello")
    assert one.recv(100) == b"hello"
    return one


def test_a_cut_resets_what_is_open_and_lets_new_ones_in(wires: Wires, echo: int) -> None:
    wire = wires.lead_to(echo)
    with call(wire) as one:
        assert wires.do(wire.cut) == 1
        with pytest.raises(ConnectionResetError):
            one.recv(100)
    with call(wire):
        pass


def test_a_silent_wire_takes_everything_and_says_nothing_until_it_speaks(
    wires: Wires, echo: int
) -> None:
    wire = wires.lead_to(echo)
    with call(wire) as old:
        wires.do(wire.silence)
        new = socket.create_connection(("127.0.0.1", wire.port), timeout=10)
        for one in (old, new):
            one.sendall(b"there?")
            one.settimeout(0.2)
            with pytest.raises(TimeoutError):
                one.recv(100)
        wires.do(wire.speak)
        for one in (old, new):
            one.settimeout(10)
            assert one.recv(100) == b"there?"
        new.close()


def test_a_shut_wire_refuses_until_it_is_opened_again(wires: Wires, echo: int) -> None:
    wire = wires.lead_to(echo)
    one = call(wire)
    wires.do(wire.shut)
    with pytest.raises(ConnectionResetError):
        one.recv(100)
    one.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", wire.port), timeout=10)
    wires.do(wire.open)
    with call(wire):
        pass


@pytest.mark.parametrize("skew", [-3600, 240])
def test_a_skewed_process_is_wrong_about_the_time_and_right_about_durations(skew: int) -> None:
    folder = str(CHECKOUT / "tests" / "chaos" / "skew")
    environment = {**os.environ, "PYTHONPATH": folder, "CHAOS_CLOCK_SKEW": str(skew)}
    done = subprocess.run(
        [sys.executable, "-c", SKEWED], env=environment, capture_output=True, text=True, check=True
    )
    now = time.time()
    wall, nano, aware, steady = done.stdout.split()
    for told in (wall, nano, aware):
        assert abs(float(told) - now - skew) < 60
    assert abs(float(steady) - time.monotonic()) < 60


def test_the_end_of_a_wire_ends_its_connection(wires: Wires, echo: int) -> None:
    wire = wires.lead_to(echo)
    with call(wire) as one:
        one.shutdown(socket.SHUT_WR)
        assert one.recv(100) == b""
        until(lambda: wires.do(wire.cut) == 0, "the wire has let go")
