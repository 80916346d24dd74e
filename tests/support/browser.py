"""A real Chromium without a head, told what to do over its DevTools protocol.

Every name but 127.0.0.1 fails to resolve in it, so a page that needs anybody else is seen to.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--no-proxy-server", "--window-size=1280,900"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)


def find_chromium() -> str | None:
    """Return the path of an installed Chromium, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class PageError(AssertionError):
    """A script in the page threw."""


class Page:
    """One tab. What the browser tells of it is kept in ``told``, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self.told: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call the browser (chromedevtools.github.io/devtools-protocol) and wait for the answer."""
        self._last += 1
        request = {"id": self._last, "method": method, "params": parameters}
        self._connection.send(json.dumps(request))
        while True:
            message = json.loads(self._connection.recv(timeout=60))
            if message.get("id") == self._last:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.told.append(message)

    def open(self, url: str) -> None:
        """Go to an address and wait until all that its page names has been loaded."""
        before = len(self.told)
        answer = self.call("Page.navigate", url=url)
        assert not answer.get("errorText"), answer
        self._wait_until_told("Page.loadEventFired", after=before)

    def run(self, script: str) -> Any:
        """Return what an expression comes to, awaited; raises PageError where it throws."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        if thrown := answer.get("exceptionDetails"):
            raise PageError(thrown.get("exception", {}).get("description") or thrown["text"])
        return answer["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 60) -> Any:
        """Wait until an expression holds; return what it came to."""
        ends = time.monotonic() + seconds
        while not (value := self.run(condition)):
            assert time.monotonic() < ends, f"in vain: {condition}; the page: {self.text()[-2000:]}"
            time.sleep(0.05)
        return value

    def text(self) -> str:
        """Return what a reader sees."""
        return str(self.run("document.body.innerText"))

    def asked(self) -> list[str]:
        """Return every address that the page has asked for, those of scripts and styles too."""
        self.call("Runtime.evaluate", expression="0")  # hear what came meanwhile
        sent = [one for one in self.told if one["method"] == "Network.requestWillBeSent"]
        return [one["params"]["request"]["url"] for one in sent]

    def complaints(self) -> list[str]:
        """Return what went wrong in the page: exceptions, and loads that failed."""
        kinds = ("Runtime.exceptionThrown", "Network.loadingFailed")
        return [json.dumps(one["params"]) for one in self.told if one["method"] in kinds]

    def screenshot(self, path: Path) -> None:
        """Write what a reader sees as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _wait_until_told(self, method: str, *, after: int) -> None:
        while all(one["method"] != method for one in self.told[after:]):
            self.told.append(json.loads(self._connection.recv(timeout=60)))


class Browser:
    """A running Chromium with a profile of its own: no cookies, no cache."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._pages = contextlib.ExitStack()

    def new_page(self) -> Page:
        """Open a tab."""
        address = f"http://127.0.0.1:{self._port}/json/new?about:blank"
        opened = httpx.put(address, timeout=30).json()["webSocketDebuggerUrl"]
        connection = connect(opened, max_size=None, proxy=None, open_timeout=30)
        return Page(self._pages.enter_context(connection))

    def close(self) -> None:
        """Let go of the tabs."""
        self._pages.close()


@contextlib.contextmanager
def running_chromium(program: str) -> Iterator[Browser]:
    """Run a browser of the test's own."""
    with tempfile.TemporaryDirectory(
        prefix="aftercommit-browser-", ignore_cleanup_errors=True
    ) as folder:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            browser = Browser(_port(Path(folder) / "DevToolsActivePort", process))
            yield browser
            browser.close()
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _port(told: Path, process: "subprocess.Popen[bytes]") -> int:
    """Wait until the browser has written down where it listens."""
    ends = time.monotonic() + 60
    while not (told.exists() and (lines := told.read_text().split())):
        assert process.poll() is None, f"Chromium has ended with {process.returncode}"
        assert time.monotonic() < ends, "Chromium does not start"
        time.sleep(0.05)
    return int(lines[0])
