"""The Door with httpx's face, so that OAuth clients and the like go out by the same way."""

from typing import Final

import httpx

from tasks_app.connectors.failure import DoorFailure, ErrorCode
from tasks_app.connectors.http.door import Answer, Door

_ERRORS: Final[dict[ErrorCode, type[httpx.TransportError]]] = {
    ErrorCode.DNS_FAILED: httpx.ConnectError,
    ErrorCode.DNS_TIMEOUT: httpx.ConnectTimeout,
    ErrorCode.ADDRESS_REFUSED: httpx.UnsupportedProtocol,
    ErrorCode.CONNECT_REFUSED: httpx.ConnectError,
    ErrorCode.CONNECT_TIMEOUT: httpx.ConnectTimeout,
    ErrorCode.CONNECT_FAILED: httpx.ConnectError,
    ErrorCode.TLS_FAILED: httpx.ConnectError,
    ErrorCode.TLS_TIMEOUT: httpx.ConnectTimeout,
    ErrorCode.SEND_TIMEOUT: httpx.WriteTimeout,
    ErrorCode.HEADERS_TIMEOUT: httpx.ReadTimeout,
    ErrorCode.BODY_TIMEOUT: httpx.ReadTimeout,
    ErrorCode.CONNECTION_RESET: httpx.ReadError,
    ErrorCode.PROTOCOL_ERROR: httpx.RemoteProtocolError,
    ErrorCode.PROXY_FAILED: httpx.ProxyError,
}
_OURS: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection"})


class GuardedTransport(httpx.AsyncBaseTransport):
    """Carries the requests of an `httpx.AsyncClient` through a Door.

    `deadline` (seconds) covers a whole request; httpx's own four timeouts have no say. An answer
    that is larger than the Door reads, or compressed although nobody asked for it, is an error
    here rather than half an answer.
    """

    def __init__(self, door: Door, *, deadline: float = 15.0) -> None:
        self._door = door
        self._deadline = deadline

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Raises httpx.TransportError."""
        try:
            answer = await self._door.request(
                method=request.method,
                url=str(request.url),
                headers=_headers(request),
                body=await request.aread(),
                timeout=self._deadline,
            )
        except DoorFailure as failure:
            error = _ERRORS.get(failure.code, httpx.TransportError)
            raise error(failure.detail, request=request) from failure
        _refuse_halves(answer, request)
        return httpx.Response(
            answer.status, headers=list(answer.raw_headers), content=answer.body, request=request
        )


def _headers(request: httpx.Request) -> dict[str, str]:
    """What frames the message is the Door's to say."""
    return {
        name.decode("ascii"): value.decode("latin-1")
        for name, value in request.headers.raw
        if name.lower() not in _OURS and name.lower() != b"accept-encoding"
    }


def _refuse_halves(answer: Answer, request: httpx.Request) -> None:
    if not answer.is_whole:
        raise httpx.ReadError("The answer is too large.", request=request)
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise httpx.RemoteProtocolError("The answer is compressed.", request=request)
