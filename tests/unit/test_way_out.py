"""What the operator says of the way out is read strictly, and the password is in no complaint."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.env import Environment
from tasks_app.security.way_out import read_name_servers, read_proxy

SECRET = "s3cr3t-w0rd"


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "password"),
    [
        ("http://proxy.corp.example:3128", "proxy.corp.example", 3128, None, ""),
        ("http://10.0.0.1:8080/", "10.0.0.1", 8080, None, ""),
        ("http://[fd00::1]:3128", "fd00::1", 3128, None, ""),
        ("http://user:pass@proxy:3128", "proxy", 3128, "user", "pass"),
        ("http://user@PROXY:3128", "proxy", 3128, "user", ""),
        ("http://us%20er:p%40%3A%C3%9F@proxy:3128", "proxy", 3128, "us er", "p@:ß"),
    ],
)
def test_a_proxy_is_read(text: str, host: str, port: int, user: str | None, password: str) -> None:
    proxy = read_proxy(text)
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.user, proxy.password) == (host, port, user, password)
    assert not proxy.resolves


def test_no_text_is_no_proxy() -> None:
    assert read_proxy("") is None


@pytest.mark.parametrize(
    "text",
    [
        f"https://u:{SECRET}@proxy:3128",
        f"socks5://u:{SECRET}@proxy:1080",
        f"u:{SECRET}@proxy:3128",
        f"http://u:{SECRET}@proxy",
        f"http://u:{SECRET}@proxy:0",
        f"http://u:{SECRET}@proxy:65536",
        f"http://u:{SECRET}@proxy:3128/path",
        f"http://u:{SECRET}@:3128",
        f"http://u:{SECRET}@pro xy:3128",
        f"http://u:{SECRET}@a@proxy:3128",
        f"http://u%3A:{SECRET}@proxy:3128",
        f"http://u:{SECRET}%0D%0AX: y@proxy:3128",
    ],
)
def test_a_wrong_proxy_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="NAME") as refused:
        Environment({"NAME": text}).parsed("NAME", None, read_proxy)
    assert SECRET not in str(refused.value)
    assert SECRET not in str(refused.value.__cause__)


def test_a_proxy_shows_no_credentials() -> None:
    assert SECRET not in repr(read_proxy(f"http://{SECRET}:{SECRET}@proxy:3128"))


def test_name_servers_are_read() -> None:
    text = "192.0.2.53, 192.0.2.54:5353,[2001:db8::53], [2001:DB8::54]:53"
    assert read_name_servers(text) == [
        "192.0.2.53:53",
        "192.0.2.54:5353",
        "[2001:db8::53]:53",
        "[2001:db8::54]:53",
    ]


@pytest.mark.parametrize(
    "text",
    ["dns.example", "192.0.2.300", "192.0.2.53:0", "192.0.2.53:70000", "2001:db8::53", "[::1]x"],
)
def test_a_wrong_name_server_is_named(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="NAME"):
        Environment({"NAME": text}).parsed("NAME", None, read_name_servers)
