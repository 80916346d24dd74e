"""Clients of the stream that write down what they see: frames, the close code, the order."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.stream_process import StreamProcess
from tests.support.threads import until

Frame = dict[str, Any]


def bearer(key: str) -> dict[str, str]:
    """Return the header of a key."""
    return {"Authorization": f"Bearer {key}"}


@contextlib.contextmanager
def socket_to(
    stream: StreamProcess, query: str = "", *, headers: dict[str, str] | None = None, **options: Any
) -> Iterator[ClientConnection]:
    """Open a WebSocket."""
    url = f"{stream.websocket}?{query}" if query else stream.websocket
    connection = connect(
        url, additional_headers=headers, open_timeout=10, close_timeout=2, proxy=None, **options
    )
    with connection as opened:
        yield opened


def next_frame(connection: ClientConnection, seconds: float = 10) -> Frame:
    """Return the next frame."""
    frame: Frame = json.loads(connection.recv(timeout=seconds))
    return frame


def close_of(connection: ClientConnection, seconds: float = 15) -> tuple[int, str]:
    """Read to the end; return the close code and reason that the server sent."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=seconds)
    received = connection.protocol.close_rcvd
    return (received.code, received.reason) if received else (1006, "")


@dataclass
class SseEvent:
    """One block of an event stream."""

    id: str = ""
    name: str = ""
    data: str = ""

    @property
    def frame(self) -> Frame:
        """The JSON."""
        frame: Frame = json.loads(self.data)
        return frame


def blocks(lines: Iterator[str]) -> Iterator[SseEvent]:
    """Cut an event stream into blocks, those without data too."""
    block, fields = SseEvent(), 0
    for line in lines:
        name, _, value = line.partition(":")
        match name:
            case "id":
                block.id = value.strip()
            case "event":
                block.name = value.strip()
            case "data":
                block.data += value.strip()
            case "":
                if fields:
                    yield block
                block, fields = SseEvent(), 0
                continue
        fields += 1


@contextlib.contextmanager
def events_from(
    stream: StreamProcess, query: str = "", *, headers: dict[str, str] | None = None
) -> Iterator[Iterator[SseEvent]]:
    """Open an event stream; it must begin."""
    url = f"{stream.url}/api/v1/events/stream?{query}"
    with httpx.stream("GET", url, headers=headers, timeout=httpx.Timeout(15)) as answer:
        assert answer.status_code == 200, answer.read()
        yield (block for block in blocks(answer.iter_lines()) if block.id or block.data)


class Recorder:
    """Follows in a thread, over WebSocket or SSE, coming back with its cursor whenever cut off.

    ``seqs`` is every event in the order it came, over all connections.
    """

    def __init__(self, stream: StreamProcess, key: str, *, over: str, after: str = "0") -> None:
        self.stream, self.key, self.over, self.cursor = stream, key, over, after
        self.seqs: list[int] = []
        self.resets: list[Frame] = []
        self.connections = 0
        self.error: BaseException | None = None
        self._connection: Any = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Cut the connection below its protocol."""
        with contextlib.suppress(OSError, AttributeError):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def wait_for(self, seq: int, seconds: float = 30) -> None:
        """Wait until that event has come."""
        until(self._reached(seq), f"{self.over} follower sees {seq}: {self.seqs[-3:]}", seconds)

    def stop(self) -> None:
        """End it; raises what went wrong."""
        self._stopped.set()
        self.cut()
        self._thread.join(15)
        if self.error:
            raise self.error

    def _reached(self, seq: int) -> Callable[[], bool]:
        return lambda: bool(self.error) or (bool(self.seqs) and self.seqs[-1] >= seq)

    def _run(self) -> None:
        follow = self._follow_socket if self.over == "websocket" else self._follow_events
        while not self._stopped.is_set():
            try:
                follow()
            except (OSError, ConnectionClosed, httpx.TransportError):
                self._stopped.wait(0.05)
            except BaseException as error:  # noqa: BLE001 - the test's thread raises it
                self.error = error
                return

    def _follow_socket(self) -> None:
        with socket_to(self.stream, f"after={self.cursor}", headers=bearer(self.key)) as opened:
            self._connection = opened
            self.connections += 1
            while not self._stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    self._take(json.loads(opened.recv(timeout=0.2)))

    def _follow_events(self) -> None:
        headers = bearer(self.key) | {"Last-Event-ID": self.cursor}
        with events_from(self.stream, headers=headers) as events:
            self.connections += 1
            for event in events:
                if event.data:
                    self._take(event.frame)
                self.cursor = event.id or self.cursor
                if self._stopped.is_set():
                    return

    def _take(self, frame: Frame) -> None:
        if frame["type"] == "reset":
            self.resets.append(frame)
            self.cursor = f"{frame['epoch']}.{frame['head']}"
        elif "id" in frame:
            self.seqs.append(frame["seq"])
            self.cursor = str(frame["seq"])
