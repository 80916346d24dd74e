"""The proxy: one address, routes, limits, and patience with what is being started again."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from config.embedded.account import can_run
from config.embedded.caddy import caddy
from config.embedded.place import settle_place
from config.embedded.ports import free_port, is_free
from config.embedded.server import Server
from realtime.close_codes import GOING_AWAY
from tests.support.servers import throw_away_folder

CADDYFILE = Path(__file__).resolve().parents[2] / "Caddyfile"
FOLLOWED = "/api/v1/events/stream"


class Upstream(BaseHTTPRequestHandler):
    """Answers with what it was asked, and counts."""

    protocol_version = "HTTP/1.0"  # one request a connection: none outlives its server
    name: ClassVar[str]
    asked: ClassVar[list[str]]
    go_on: ClassVar[threading.Event]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/api/v1/events/stream":
            self._stream()
        elif self.path.endswith("?bare=414"):
            self.send_response(414)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._answer(b"")

    def do_POST(self) -> None:
        self.asked.append(self.path)
        length = self.headers.get("Content-Length")  # without one: until the proxy cuts it
        self._answer(self.rfile.read(int(length) if length else -1))

    def _answer(self, body: bytes) -> None:
        text = json.dumps(
            {"by": self.name, "path": self.path, "size": len(body), "headers": dict(self.headers)}
        ).encode()
        self.send_response(414 if self.path.endswith("?told=414") else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", '"7"')
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self) -> None:
        """Send a first event, and the second only once the test has seen the first."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        self.go_on.wait(30)
        self.wfile.write(b"data: 2\n\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def handler(name: str) -> type[Upstream]:
    fresh = {"name": name, "asked": [], "go_on": threading.Event()}
    return type(f"{name.title()}Upstream", (Upstream,), fresh)


@contextmanager
def upstream(port: int, kind: type[Upstream]) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Proxy:
    port: int
    api: int
    stream: int
    static: Path

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with throw_away_folder() as folder:
        place = settle_place(folder / "data")
        static = place.home / "static"
        static.mkdir(mode=0o755)
        one = Proxy(port=free_port(), api=free_port(), stream=free_port(), static=static)
        spec = caddy(
            home=place.home,
            caddyfile=CADDYFILE,
            account=place.account,
            port=one.port,
            apis=[one.api],
            streams=[one.stream],
            static_root=static,
        )
        assert can_run(Path(spec.command[0]), place.account)
        server = Server(replace(spec, is_ready=lambda: not is_free(one.port)))
        server.start()
        try:
            yield one
        finally:
            server.stop()


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/ws/tasks", "stream"),
        ("/stream/readyz", "stream"),
        ("/api/v1/tasks/", "api"),
        ("/api/v1/stream/ticket/", "api"),
        ("/api/v1/events/?after=1", "api"),
        ("/healthz", "api"),
        ("/", "api"),
        ("/streams", "api"),
    ],
)
def test_each_path_goes_to_whom_it_belongs(proxy: Proxy, path: str, by: str) -> None:
    with upstream(proxy.api, handler("api")), upstream(proxy.stream, handler("stream")):
        status, _, body = proxy.ask("GET", path)
    answer = json.loads(body)
    assert (status, answer["by"], answer["path"]) == (200, by, path)


def test_an_event_is_passed_on_before_the_next_one_exists(proxy: Proxy) -> None:
    kind = handler("stream")
    with upstream(proxy.stream, kind):
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        connection.request("GET", "/api/v1/events/stream")
        answer = connection.getresponse()
        assert answer.readline() == b"data: 1\n"
        kind.go_on.set()
        assert answer.read() == b"\ndata: 2\n\n"
        connection.close()


def test_etags_and_bodies_of_the_api_are_not_rewritten(proxy: Proxy) -> None:
    with upstream(proxy.api, handler("api")):
        _, headers, _ = proxy.ask("GET", "/api/v1/x", headers={"Accept-Encoding": "gzip, zstd"})
    assert headers["etag"] == '"7"'
    assert "content-encoding" not in headers


def test_only_the_proxy_says_who_the_client_is(proxy: Proxy) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "localhost"}
    with upstream(proxy.api, handler("api")):
        _, _, body = proxy.ask("GET", "/", headers=forged)
    seen = json.loads(body)["headers"]
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["Host"] == "localhost"


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024])
def test_a_body_of_up_to_one_mebibyte_arrives_whole(proxy: Proxy, size: int) -> None:
    with upstream(proxy.api, handler("api")):
        status, _, body = proxy.ask("POST", "/api/v1/tasks/", body=b"x" * size)
    assert (status, json.loads(body)["size"]) == (200, size)


@pytest.mark.parametrize("path", ["/api/v1/tasks/", "/api/v1/tasks/export/", "/stream/x"])
@pytest.mark.parametrize(
    ("size", "chunked"), [(1024 * 1024 + 1, False), (3_000_000, False), (1024 * 1024 + 1, True)]
)
def test_a_larger_body_is_a_problem_of_its_own(
    proxy: Proxy, path: str, size: int, chunked: bool
) -> None:
    body = iter((b"x" * size,)) if chunked else b"x" * size
    api, stream = upstream(proxy.api, handler("api")), upstream(proxy.stream, handler("stream"))
    with api, stream:
        status, headers, answer = proxy.ask(
            "POST", path, body=body, headers={"X-Request-ID": "mine-413"}
        )
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == "mine-413"
    problem = json.loads(answer)
    assert (problem["status"], problem["type"]) == (413, "/problems/too_large")
    assert problem["instance"].startswith("urn:uuid:")


@pytest.mark.parametrize("offered", ["", "a b", "a" * 65, '"'])
def test_a_request_id_that_is_not_sane_is_replaced(proxy: Proxy, offered: str) -> None:
    """In what the proxy says itself, as here of a body that is far too large."""
    asked = {"X-Request-ID": offered, "Content-Length": "99999999999"}
    status, headers, _ = proxy.ask("POST", "/api/v1/tasks/", headers=asked)
    assert status == 413
    assert headers["x-request-id"] not in {"", offered}


@pytest.mark.parametrize("path", ["/", "/stream/x", "/api/v1/tasks/export/", "/api/v1/imports/"])
def test_a_huge_body_is_refused_before_it_is_read(proxy: Proxy, path: str) -> None:
    api, stream = handler("api"), handler("stream")
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", proxy.port))
    with upstream(proxy.api, api), upstream(proxy.stream, stream), client:
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    assert [api.asked, stream.asked] == [[], []]


def test_chunks_that_are_none_are_the_client_s_fault(proxy: Proxy) -> None:
    """Not a process that is away, which would have the client try again."""
    head = b"POST /api/v1/tasks/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    api, client = upstream(proxy.api, handler("api")), ("127.0.0.1", proxy.port)
    with api, socket.create_connection(client, timeout=20) as peer:
        peer.sendall(head + b"zz\r\n{}\r\n0\r\n\r\n")
        received = peer.recv(65_536)
    status, _, body = received.partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in status
    assert json.loads(body)["type"] == "/problems/invalid"


def test_headers_reach_api_that_api_will_refuse_itself(proxy: Proxy) -> None:
    with upstream(proxy.api, handler("api")):
        status, _, _ = proxy.ask("GET", "/api/v1/tasks/", headers={"X-Long": "a" * 60_000})
        assert status == 200
        status, _, _ = proxy.ask("GET", "/api/v1/tasks/?q=" + "a" * 60_000)
        assert status == 200


def test_an_address_that_api_s_server_refuses_without_a_word_is_a_problem(proxy: Proxy) -> None:
    """What granian does beyond 64 KiB; what api itself says of a shorter one is passed on."""
    with upstream(proxy.api, handler("api")):
        status, headers, body = proxy.ask("GET", "/api/v1/tasks/?bare=414")
        assert (status, headers["content-type"]) == (414, "application/problem+json")
        assert json.loads(body)["type"] == "/problems/address_too_long"
        status, _, body = proxy.ask("GET", "/api/v1/tasks/?told=414")
        assert (status, json.loads(body)["by"]) == (414, "api")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_process_that_is_being_started_again_is_waited_for(proxy: Proxy, method: str) -> None:
    answers: list[tuple[int, dict[str, str], bytes]] = []
    kind = handler("api")
    client = threading.Thread(
        target=lambda: answers.append(proxy.ask(method, "/api/v1/tasks/", body=b"{}"))
    )
    client.start()
    time.sleep(0.3)  # the proxy has met the closed port by now; were it not, it would not matter
    with upstream(proxy.api, kind):
        client.join()
    assert answers[0][0] == 200
    assert kind.asked == ["/api/v1/tasks/"]


@pytest.fixture(scope="module")
def of_nobody(proxy: Proxy) -> dict[str, tuple[int, dict[str, str], bytes]]:
    """Ask at once for what nobody serves: the proxy waits 5 s for each."""
    source = {"Accept": "text/event-stream"}
    with ThreadPoolExecutor(3) as pool:
        asked = {
            "api": pool.submit(proxy.ask, "GET", "/api/v1/tasks/"),
            "stream": pool.submit(proxy.ask, "GET", FOLLOWED),
            "event source": pool.submit(proxy.ask, "GET", FOLLOWED, headers=source),
        }
    return {name: future.result() for name, future in asked.items()}


def test_a_process_that_stays_away_is_a_problem_that_says_when_to_try_again(
    of_nobody: dict[str, tuple[int, dict[str, str], bytes]],
) -> None:
    for status, headers, body in (of_nobody["api"], of_nobody["stream"]):
        assert status in {502, 503}
        assert headers["content-type"] == "application/problem+json"
        assert int(headers["retry-after"]) >= 1
        assert headers["x-request-id"]
        assert json.loads(body)["status"] == status


def test_an_event_source_is_told_to_come_back_to_a_stream_that_stays_away(
    of_nobody: dict[str, tuple[int, dict[str, str], bytes]],
) -> None:
    """A browser's EventSource gives up for good on any status but 200."""
    status, headers, body = of_nobody["event source"]
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    retry, bye = body.decode().strip().split("\n\n")
    assert retry.startswith("retry: ")
    name, _, data = bye.partition("\n")
    assert name == "event: bye"
    told = json.loads(data.removeprefix("data: "))
    assert told == {"type": "bye", "code": GOING_AWAY.code, "reason": GOING_AWAY.reason}


def test_a_request_that_broke_off_is_not_sent_twice(proxy: Proxy) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", proxy.api)) as server:

        def drop() -> None:
            connection, _ = server.accept()
            asked.append(connection.recv(65_536))
            connection.close()

        threading.Thread(target=drop, daemon=True).start()
        status, _, _ = proxy.ask("POST", "/api/v1/tasks/", body=b"{}")
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.accept()
    assert status == 502
    assert len(asked) == 1


def test_static_files_are_served_compressed_and_nothing_beside_them(proxy: Proxy) -> None:
    (proxy.static / "app.css").write_text("body { color: black }\n" * 200)
    (proxy.static / "app.css").chmod(0o644)
    status, headers, _ = proxy.ask("GET", "/static/app.css", headers={"Accept-Encoding": "gzip"})
    assert (status, headers["content-encoding"]) == (200, "gzip")
    for path in ("/static/", "/static/none.css"):
        status, headers, _ = proxy.ask("GET", path)
        assert (status, headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "path", ["/static/../caddy/Caddyfile", "/static/%2e%2e/caddy/Caddyfile", "/static/..%2fcaddy"]
)
def test_no_path_leads_out_of_the_static_files(proxy: Proxy, path: str) -> None:
    with upstream(proxy.api, handler("api")):
        status, _, body = proxy.ask("GET", path)
    assert status == 404 or json.loads(body)["by"] == "api"
