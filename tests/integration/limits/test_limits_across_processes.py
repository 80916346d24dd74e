"""The limit holds across processes, and without Valkey it refuses nobody and delays little."""

import contextlib
import http.client
import socket
import threading
import time
from collections import Counter
from contextlib import AbstractContextManager, ExitStack

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


class Silent:
    """Takes every connection and answers none."""

    def __init__(self) -> None:
        self.came: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._taking = threading.Thread(target=self._take, daemon=True)
        self._taking.start()

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.came.append(self._listener.accept()[0])

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._taking.join(20)
        for one in (self._listener, *self.came):
            one.close()


def test_with_a_silent_valkey_nobody_is_refused_and_one_request_pays_once(key: str) -> None:
    """The limit trips the breaker that the bells share: the commit after it asks no more."""
    with contextlib.closing(Silent()) as valkey, strict_api(REDIS_URL=valkey.url) as port:
        before = len(valkey.came)
        status, headers = ask(port, key, "POST")
        paid = len(valkey.came) - before
        statuses = {ask(port, key)[0] for _ in range(30)}
    assert (status, statuses) == (201, {200})
    assert "RateLimit" not in headers
    assert Task.objects.count() == 1
    assert paid == 1


def test_without_valkey_nobody_is_refused(key: str) -> None:
    with strict_api(REDIS_URL="redis://127.0.0.1:1/0") as port:
        assert ask(port, key, "POST")[0] == 201
        assert {ask(port, key)[0] for _ in range(30)} == {200}
    assert Task.objects.count() == 1


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
