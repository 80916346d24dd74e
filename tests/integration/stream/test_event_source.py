"""What a browser's EventSource needs of us: it never comes back after any status but 200.

(WHATWG HTML §9.2.3.) So where others get a 503, it gets a stream that only says goodbye.
"""

import contextlib

import httpx
import pytest

from tests.support.stream_client import bearer, blocks
from tests.support.stream_process import running_stream
from tests.support.threads import until

NOWHERE = "postgresql://nobody@127.0.0.1:9/none"
EVENTS = {"Accept": "text/event-stream"}


@pytest.mark.usefixtures("db")
def test_without_a_database_an_event_source_is_sent_away_to_come_back(server: str) -> None:
    with running_stream(server, ready=False, DATABASE_URL=NOWHERE) as stream:
        url, key = f"{stream.url}/api/v1/events/stream", bearer("any-key")
        until(lambda: _serves(stream.url), "it serves")
        browser = httpx.get(url, headers=key | EVENTS, timeout=30)
        program = httpx.get(url, headers=key, timeout=30)
    assert browser.status_code == 200
    assert browser.headers["content-type"].startswith("text/event-stream")
    lines = browser.text.splitlines()
    assert lines[0].startswith("retry: ")
    bye = list(blocks(iter(lines)))[-1]
    assert (bye.name, bye.frame["code"], bye.id) == ("bye", 4001, "")  # its cursor stays its own
    assert (program.status_code, "retry-after" in program.headers) == (503, True)


def _serves(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return bool(httpx.get(f"{url}/stream/readyz", timeout=5).status_code)
    return False
