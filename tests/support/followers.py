"""Followers that write down every frame they see, over real sockets, one thread each."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.house import DEMO_KEY, House

BEARER = {"Authorization": f"Bearer {DEMO_KEY}"}


class Follower(ABC):
    """Follows from a cursor until stopped; ``seen`` holds every event in the order it came."""

    def __init__(self, house: House, *, after: str = "0") -> None:
        self.house = house
        self.cursor = after
        self.seen: list[dict[str, Any]] = []
        self.other: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self.patient = False  # whether a refused connection is tried again
        self.filter = ""  # of a SocketFollower, as more of its query: "&types=…"
        self._stopped = threading.Event()
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "Follower":
        """Begin to follow."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; raises what went wrong in the thread."""
        self._stopped.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the follower hangs"
        if self.error is not None:
            raise self.error

    @property
    def seqs(self) -> list[int]:
        """The numbers in the order they came."""
        return [event["seq"] for event in self.seen]

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 60
    ) -> dict[str, Any]:
        """Return the first event that is wanted; fails after ``seconds``."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.seen if wanted(event)]

        with self._grown:
            arrived = self._grown.wait_for(lambda: bool(found()) or self.error, seconds)
        if self.error or not arrived:
            raise AssertionError((self.error, self.seqs[-5:], self.other[-5:]))
        return found()[0]

    def wait_for_seq(self, seq: int, seconds: float = 60) -> None:
        """Wait until the event ``seq`` has come."""
        self.wait_for(lambda event: event["seq"] >= seq, seconds)

    def _take(self, frame: dict[str, Any]) -> None:
        with self._grown:
            (self.seen if "id" in frame and "seq" in frame else self.other).append(frame)
            if "seq" in frame:
                self.cursor = str(frame["seq"])
            self._grown.notify_all()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._follow_once()
        except BaseException as error:  # noqa: BLE001 - stop() raises it in the test's thread
            with self._grown:
                self.error = error
                self._grown.notify_all()

    def _follow_once(self) -> None:
        try:
            self._follow()
        except (OSError, httpx.TransportError, WebSocketException, AssertionError):
            if not self.patient:
                raise
            self._stopped.wait(0.1)

    @abstractmethod
    def _follow(self) -> None:
        """Connect, take what comes, return when the connection ends."""


class SocketFollower(Follower):
    """Over WebSocket; ``cut()`` ends the connection, and it comes back with its cursor."""

    def __init__(self, house: House, *, after: str = "0") -> None:
        super().__init__(house, after=after)
        self.connections = 0
        self._socket: ClientConnection | None = None

    def connected_more_than(self, times: int) -> bool:
        """Tell whether it has connected more often than this."""
        return self.connections > times

    def cut(self) -> None:
        """Cut the connection without a closing handshake."""
        if self._socket is not None:
            self._socket.socket.shutdown(2)

    def _follow(self) -> None:
        url = f"{self.house.socket_url}/ws/tasks?after={self.cursor}{self.filter}"
        with connect(url, additional_headers=BEARER, open_timeout=30) as socket:
            self._socket = socket
            self.connections += 1
            while not self._stopped.is_set():
                try:
                    self._take(json.loads(socket.recv(timeout=0.5)))
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    return


class EventSourceFollower(Follower):
    """Over SSE, with `Last-Event-ID` as a browser sends it."""

    def _follow(self) -> None:
        headers = BEARER | {"Last-Event-ID": self.cursor, "Accept": "text/event-stream"}
        url = f"{self.house.url}/api/v1/events/stream"
        timeout = httpx.Timeout(30, read=5)
        try:
            with httpx.stream("GET", url, headers=headers, timeout=timeout) as answer:
                assert answer.status_code == 200, answer.read()
                for frame in self._frames(answer.iter_lines()):
                    self._take(frame)
                    if self._stopped.is_set():
                        return
        except (httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError):
            return

    @staticmethod
    def _frames(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
        data: list[str] = []
        for line in lines:
            if line.startswith("data:"):
                data.append(line.removeprefix("data:").strip())
            elif not line and data:
                yield json.loads("\n".join(data))
                data = []
