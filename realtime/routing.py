"""Which address is which application. Read this first."""

from channels.routing import ProtocolTypeRouter

from realtime.asgi_types import Application, Receive, Scope, Send
from realtime.consumers import follow_by_websocket
from realtime.patience import patiently
from realtime.ready import answer_readyz
from realtime.sse import follow_by_sse

WEBSOCKETS: dict[str, Application] = {"/ws/tasks": follow_by_websocket}
HTTP: dict[str, Application] = {
    "/api/v1/events/stream": follow_by_sse,
    "/stream/readyz": answer_readyz,
}
LONG = "/api/v1/tasks/export"  # Django's, but answered for as long as its client reads


def stream_application(*, otherwise: Application) -> ProtocolTypeRouter:
    """Return the ASGI application: the stream's addresses, and another for all else over HTTP."""

    known = {**HTTP, LONG: patiently(otherwise)}

    async def http(scope: Scope, receive: Receive, send: Send) -> None:
        await known.get(_path(scope), otherwise)(scope, receive, send)

    return ProtocolTypeRouter({"http": http, "websocket": _websocket})


async def _websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await WEBSOCKETS.get(_path(scope), _refuse)(scope, receive, send)


async def _refuse(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})  # before accept: HTTP 403


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.rstrip("/")
