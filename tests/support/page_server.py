"""Pages of another origin, and the client that docs/live-stream.md prints, served to them."""

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = CHECKOUT / "tests" / "browser" / "pages"
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


def documented_client() -> str:
    """Return the JavaScript of docs/live-stream.md, so that what it shows is what is tested."""
    text = (CHECKOUT / "docs" / "live-stream.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```js\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = PAGES / self.path.split("?")[0].lstrip("/")
        if path.name == "client.js":
            self._answer(200, ".js", documented_client().encode())
        elif path.parent == PAGES and path.is_file():
            self._answer(200, path.suffix, path.read_bytes())
        else:
            self._answer(404, ".html", b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def _answer(self, status: int, suffix: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", TYPES[suffix])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving_pages() -> Iterator[str]:
    """Serve the pages on a port of their own; yield their origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)
