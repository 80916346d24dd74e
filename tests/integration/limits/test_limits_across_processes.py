"""The limit holds across processes, and without Valkey it refuses nobody and delays little."""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tasks_app.models import Task, Workspace
from tests.support import factories
from tests.support.api_server import api_server
from tests.support.callers import api_key
from tests.support.servers import own_valkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(transactional_db: None) -> str:
    workspace: Workspace = factories.workspace()
    return api_key(factories.member(workspace))[0]


def strict_api(**environment: str) -> AbstractContextManager[int]:
    """Run an api that lets twenty requests through at once, and one a minute."""
    limits = {"RATE_LIMIT_PER_MINUTE": "1", "RATE_LIMIT_BURST": "20"}
    return api_server(threads=4, **limits, **environment)


def ask(port: int, key: str, method: str = "GET") -> tuple[int, http.client.HTTPMessage]:
    peer = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = b'{"title":"x"}' if method == "POST" else None
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    peer.request(method, "/api/v1/tasks/", body=body, headers=headers)
    answer = peer.getresponse()
    answer.read()
    peer.close()
    return answer.status, answer.headers


def test_exactly_the_burst_passes_however_many_processes_and_callers_there_are(key: str) -> None:
    seen: Counter[int] = Counter()
    start = threading.Barrier(8)
    with ExitStack() as stack:
        ports = [stack.enter_context(strict_api()) for _ in range(2)]

        def caller(number: int) -> None:
            start.wait(30)
            for turn in range(5):
                seen[ask(ports[(number + turn) % 2], key)[0]] += 1

        callers = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
    assert seen == {200: 20, 429: 20}


@contextmanager
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@contextmanager
def down() -> Iterator[str]:
    yield "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("valkey", [silent, down], ids=["silent", "down"])
def test_without_valkey_nobody_is_refused_and_one_request_pays_once(
    key: str, valkey: object
) -> None:
    """The limit trips the breaker that the bells share: the commit after it waits no more."""
    assert callable(valkey)
    with valkey() as url, strict_api(REDIS_URL=url) as port:
        ask(port, key)
        time.sleep(2.1)  # the breaker closes again: the next one finds out anew
        began = time.monotonic()
        status, headers = ask(port, key, "POST")
        took = time.monotonic() - began
        statuses = {ask(port, key)[0] for _ in range(30)}
    assert (status, statuses) == (201, {200})
    assert "RateLimit" not in headers
    assert Task.objects.count() == 1
    # No measure of speed: two waits after the limit's own would be seconds, were they unbounded.
    assert took < 5


def test_a_valkey_that_comes_back_counts_again(key: str) -> None:
    with own_valkey() as valkey, strict_api(REDIS_URL=valkey.url) as port:
        assert "RateLimit" in ask(port, key)[1]
        valkey.server.kill()
        assert ask(port, key)[0] == 200
        valkey.server.start()
        ends = time.monotonic() + 30
        while "RateLimit" not in ask(port, key)[1]:
            assert time.monotonic() < ends
            time.sleep(0.1)
