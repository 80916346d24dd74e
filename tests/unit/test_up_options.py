"""`make up`: a wrong value or a taken port is a sentence naming the variable."""

import socket

import pytest

from config.embedded.ports import free_port
from config.embedded.trouble import CannotStart
from config.supervisor.options import check_ports, read_options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("SANDBOX_PORT", "-1"),
        ("WORKERS", "0"),
        ("APIS", "0"),
        ("BEATS", "9"),
        ("STREAMS", "many"),
        ("STREAM_SERVER", "hypercorn"),
    ],
)
def test_a_wrong_value_is_a_sentence_naming_the_variable(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=rf"^{name} must "):
        read_options({name: value})


def test_the_first_is_plain_and_every_worker_is_numbered() -> None:
    options = read_options({"APIS": "2", "STREAMS": "2", "WORKERS": "2", "BEATS": "2"})
    assert options.api_names == ["api", "api-2"]
    assert options.beat_names == ["beat", "beat-2"]
    assert options.stream_names == ["stream", "stream-2"]
    assert options.worker_names == ["worker-1", "worker-2"]


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_a_sentence_naming_the_variable(name: str) -> None:
    ports = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
    with socket.create_server(("127.0.0.1", int(ports[name]))):
        options = read_options(ports)
        with pytest.raises(CannotStart, match=rf"^{name} {ports[name]} is taken"):
            check_ports(options)
    check_ports(options)


def test_one_port_for_both_is_refused() -> None:
    with pytest.raises(CannotStart, match="must differ"):
        check_ports(read_options({"PORT": "9000", "SANDBOX_PORT": "9000"}))
