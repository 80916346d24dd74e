"""One request and one answer as plain values, apart from ASGI's messages."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_REQUEST_BODY: Final = 10 * 2**20


class Refused(Exception):
    """The sandbox can't do what it is asked for."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came in; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    scheme: str
    client: str
    receive: Receive

    @property
    def args(self) -> dict[str, str]:
        """The query's parameters, the last one of each name."""
        pairs = parse_qs(self.query, keep_blank_values=True)
        return {name: values[-1] for name, values in pairs.items()}

    @property
    def url(self) -> str:
        """The URL that the client must have asked for."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.headers.get('host', '')}{self.path}{query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes out."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


def json_answer(value: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Answer with JSON."""
    more = tuple((name.encode(), text.encode()) for name, text in (headers or {}).items())
    return Answer(
        status=status,
        body=orjson.dumps(value),
        headers=((b"content-type", b"application/json"), *more),
    )


async def read_request(scope: MutableMapping[str, Any], receive: Receive) -> Request:
    """Take the request out of ASGI, body and all. Raises Refused for an enormous body."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_REQUEST_BODY:
            raise Refused(413, "the sandbox takes bodies of 10 MiB")
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]},
        body=b"".join(parts),
        scheme=scope.get("scheme", "http"),
        client=(scope.get("client") or ("",))[0],
        receive=receive,
    )


async def send_answer(answer: Answer, send: Send) -> None:
    """Hand the answer to ASGI; 204 and 304 go without body or length (RFC 9110 §8.6)."""
    body = b"" if answer.status in (204, 304) else answer.body
    headers = list(answer.headers)
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
