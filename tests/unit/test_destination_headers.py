"""Which headers a destination may add."""

import pytest

from tasks_app.connectors.headers import BadHeader, vet_headers


def test_plain_headers_are_fine() -> None:
    vet_headers(
        {"Authorization": "Bearer abc def", "X-Tenant": "1", "x!#$%&'*+.^_`|~0": "", "A": "~"}
    )
    vet_headers({f"x-{n}": "v" * 1_024 for n in range(20)})


RESERVED = (
    "Host content-length Transfer-Encoding Connection Keep-Alive Upgrade Expect TE Trailer Cookie "
    "Proxy-Authorization proxy-x Webhook-Id webhook-anything User-Agent Content-Type "
    "Content-Encoding ACCEPT-ENCODING Idempotency-Key Traceparent HTTP2-Settings"
)


@pytest.mark.parametrize("name", RESERVED.split())
def test_a_header_that_frames_names_or_proves_is_ours(name: str) -> None:
    with pytest.raises(BadHeader) as refused:
        vet_headers({name: "x"})
    assert (refused.value.code, refused.value.name) == ("header_reserved", name)


@pytest.mark.parametrize(
    "name", ["", " x", "x ", "x y", "x:", "x\r\nHost", "x\0", "é", "(x)", "x/y", "a" * 129]
)
def test_what_is_no_token_is_no_name(name: str) -> None:
    with pytest.raises(BadHeader) as refused:
        vet_headers({name: "x"})
    assert refused.value.code == "header_name_invalid"


@pytest.mark.parametrize(
    "value", [" x", "x ", "a\r\nb", "a\nb", "a\tb", "a\0b", "é", "\x7f", "\ud800"]
)
def test_a_value_is_printable_ascii(value: str) -> None:
    with pytest.raises(BadHeader) as refused:
        vet_headers({"x": value})
    assert refused.value.code == "header_value_invalid"


def test_there_are_bounds_and_no_doubles() -> None:
    for headers, code in [
        ({f"x-{n}": "" for n in range(21)}, "too_many_headers"),
        ({"x": "v" * 1_025}, "header_value_too_long"),
        ({"X-A": "1", "x-a": "2"}, "header_repeated"),
    ]:
        with pytest.raises(BadHeader) as refused:
            vet_headers(headers)
        assert refused.value.code == code
