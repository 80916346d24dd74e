"""What we never send to, as URLs and as addresses, and what must stay open."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks_app.security.addresses import read_literal, read_networks, vet_address
from tasks_app.security.ssrf import INSIDE_PORTS, BlockedTarget, parse_url, vet_url
from tests.support.inside_urls import HOSTILE

GOOD = [
    ("https://example.com", "https://example.com/"),
    ("HTTPS://Example.COM:443/Hook?a=B", "https://example.com/Hook?a=B"),
    ("http://example.com:8080/x", "http://example.com:8080/x"),
    ("http://example.com?x=1", "http://example.com/?x=1"),
    ("https://example.com/a@b/c", "https://example.com/a@b/c"),
    ("https://example.com/%2e%2e/x%20y", "https://example.com/%2e%2e/x%20y"),
    ("https://example.com/a/../b//c", "https://example.com/a/../b//c"),
    ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
    ("https://faß.example/", "https://xn--fa-hia.example/"),
    ("https://ｅｘａｍｐｌｅ．com/", "https://example.com/"),
    ("https://my_service.example.com/", "https://my_service.example.com/"),
    ("https://hooks/", "https://hooks/"),
    ("http://8.8.8.8/", "http://8.8.8.8/"),
    ("http://134744072/", "http://8.8.8.8/"),
    ("http://[2606:4700:4700::1111]/", "http://[2606:4700:4700::1111]/"),
    ("http://[64:ff9b::8.8.8.8]/", "http://[64:ff9b::808:808]/"),
    ("http://[2606:4700::1]:8443/x", "http://[2606:4700::1]:8443/x"),
    ("http://1password.com/", "http://1password.com/"),
    ("http://127.0.0.1.example.com/", "http://127.0.0.1.example.com/"),
]


@pytest.mark.parametrize(("url", "code"), HOSTILE, ids=[ascii(url)[:60] for url, _ in HOSTILE])
def test_a_hostile_url_is_refused_with_a_stable_code(url: str, code: str) -> None:
    with pytest.raises(BlockedTarget) as refused:
        vet_url(url)
    assert refused.value.code == code
    assert refused.value.detail


@pytest.mark.parametrize(("url", "normal"), GOOD)
def test_a_good_url_is_taken_apart_and_put_together_again(url: str, normal: str) -> None:
    target = vet_url(url)
    assert target.url == normal
    assert vet_url(target.url) == target


CLOSED = (
    "0.0.0.1 10.255.255.255 100.127.255.255 127.255.255.254 169.254.0.1 172.31.255.255 192.0.0.8 "
    "192.0.0.9 192.0.2.1 192.88.99.1 192.168.0.1 198.19.255.255 198.51.100.1 203.0.113.1 "
    "239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 "
    ":: ::1 ::2 ::8.8.8.8 ::ffff:10.0.0.1 ::ffff:0:8.8.8.8 64:ff9b::192.168.0.1 64:ff9b:1::8.8.8.8 "
    "100::1 100:0:0:1::1 1::1 1fff::1 2001::1 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 "
    "2002:808:808:: 2606:4700::5efe:7f00:1 2606:4700::200:5efe:a00:1 3fff::1 4000::1 5f00::1 "
    "fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1 ff0e::1 fd00:ec2::254"
)
OPEN = (
    "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 "
    "169.253.255.255 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.1 192.0.3.1 192.167.255.255 "
    "198.17.255.255 198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 "
    "2001:4860:4860::8888 2606:4700:4700::1111 2a00:1450::1 2003::1 3ffe::1 3fff:1000::1 "
    "2606:4700::5efe:808:808"
)


@pytest.mark.parametrize("address", CLOSED.split())
def test_an_inside_address_is_closed(address: str) -> None:
    with pytest.raises(BlockedTarget):
        vet_address(address)


@pytest.mark.parametrize("address", OPEN.split())
def test_an_outside_address_is_open(address: str) -> None:
    assert vet_address(address) == ip_address(address)


@pytest.mark.parametrize("address", ["fe80::1%1", "2606:4700::1%eth0", "not an address", ""])
def test_a_scoped_or_garbled_address_is_refused_whatever_is_allowed(address: str) -> None:
    with pytest.raises(BlockedTarget):
        vet_address(address, ["::/0", "0.0.0.0/0"])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("64:ff9b::10.0.0.1", "10.0.0.0/8"),
        ("fd12::1", "fd12::/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("fd00:ec2::254", "fd00:ec2::254/128"),
    ],
)
def test_an_allowed_network_opens_what_is_in_it(address: str, network: str) -> None:
    vet_address(address, [network])


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "127.0.0.0/8"),
        ("2002:7f00:1::", "127.0.0.0/8"),
        ("169.254.169.254", "169.254.0.0/16"),
        ("100.100.100.200", "100.64.0.0/10"),
        ("fd00:ec2::254", "fc00::/7"),
        ("::ffff:169.254.169.254", "169.254.0.0/16"),
        ("64:ff9b:1::a9fe:a9fe", "64:ff9b:1::/48"),
    ],
)
def test_an_allowed_network_opens_no_other_and_never_metadata(address: str, network: str) -> None:
    with pytest.raises(BlockedTarget):
        vet_address(address, [network])


def test_the_demo_s_sandbox_is_open_where_loopback_is_allowed() -> None:
    assert vet_url("http://127.0.0.1:8001/post", allowed_networks=["127.0.0.0/8"]).port == 8001
    assert vet_url("http://localhost:8001/post", allowed_networks=["127.0.0.0/8"]).address is None


@pytest.mark.parametrize("port", sorted(INSIDE_PORTS))
def test_an_inside_port_is_open_only_in_an_allowed_network(port: int) -> None:
    networks = ["10.0.0.0/8"]
    vet_url(f"http://10.1.2.3:{port}/", allowed_networks=networks)
    with pytest.raises(BlockedTarget, match="Port"):
        vet_url(f"http://8.8.8.8:{port}/", allowed_networks=networks)


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        read_networks(["127.0.0.0/8", "10.0.0.0/99"])


def test_the_table_is_long_and_names_nothing_twice() -> None:
    assert len({url for url, _ in HOSTILE}) >= 250


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{0}", "{0:#x}", "0{0:o}"]))
def test_any_number_means_the_address_it_is(number: int, notation: str) -> None:
    assert parse_url(f"http://{notation.format(number)}/").address == ip_address(number)


@given(st.text(max_size=80))
def test_any_text_is_either_a_target_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://example.com{text}", f"http://example.com/{text}"):
        try:
            target = vet_url(url)
        except BlockedTarget:
            continue
        assert target.host.isascii()
        assert (read_literal(target.host) is None) == (target.address is None)
        assert target.path.startswith("/")
        assert target.path.isascii()
        assert vet_url(target.url) == target
