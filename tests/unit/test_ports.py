"""Ports: free ones are free, taken ones are seen, remembered ones come back."""

import socket
from pathlib import Path

from config.embedded.ports import RANGE_FILE, free_port, is_free, remembered_ports


def test_a_listening_port_is_taken_and_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_server_on_every_address_takes_the_port_of_loopback_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_free_port_can_be_listened_on_and_lies_outside_the_kernels_range() -> None:
    low, high = map(int, RANGE_FILE.read_text().split())
    port = free_port()
    assert not low <= port <= high
    socket.create_server(("127.0.0.1", port)).close()


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    first = remembered_ports(["a", "b"], tmp_path / "ports")
    assert len(set(first.values())) == 2
    assert remembered_ports(["b", "a"], tmp_path / "ports") == first


def test_a_remembered_port_that_is_taken_or_wanted_elsewhere_is_replaced(tmp_path: Path) -> None:
    first = remembered_ports(["a", "b"], tmp_path / "ports")
    with socket.create_server(("127.0.0.1", first["a"])):
        second = remembered_ports(["a", "b"], tmp_path / "ports", avoid=[first["b"]])
    assert second["a"] != first["a"]
    assert second["b"] != first["b"]


def test_a_broken_memory_of_ports_is_no_obstacle(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"a": "x", "b": -1}', ""):
        (tmp_path / "ports").write_text(text)
        ports = remembered_ports(["a", "b"], tmp_path / "ports")
        assert all(is_free(port) for port in ports.values())
