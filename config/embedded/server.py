"""One server held by whoever needs one without a supervisor: the tests."""

import os
import signal
import subprocess
import threading
import time
from collections import deque

from config.embedded.process import ProcessSpec, spawn_options
from config.embedded.trouble import CannotStart


class Server:
    """Start, stop, kill, freeze and start again, each returning once it is done."""

    def __init__(self, spec: ProcessSpec) -> None:
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._said: deque[str] = deque(maxlen=50)
        self._ear: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id; raises RuntimeError while the server is stopped."""
        if self._process is None:
            raise RuntimeError(f"{self._spec.name} is not running")
        return self._process.pid

    def start(self, *, patience: float = 30.0) -> None:
        """Start and wait until it is ready; raises CannotStart with its last words otherwise."""
        self._spec.before_start()
        self._process = subprocess.Popen(self._spec.command, **spawn_options(self._spec))
        self._ear = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._ear.start()
        end = time.monotonic() + patience
        while not self._spec.is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                said = "\n".join(self._said)
                raise CannotStart(f"{self._spec.name} did not become ready:\n{said}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in its own orderly way, by force after its grace."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(self._spec.stop_signal)
        try:
            self._process.wait(self._spec.grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._forget()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def freeze(self) -> None:
        """Make it silent: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._ear is not None:
            self._ear.join(timeout=2)  # a child of its own may hold the pipe a little longer

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Keep its last words and never let its pipe fill up."""
        if process.stdout is not None:
            with process.stdout as lines:
                self._said.extend(line.decode(errors="replace").rstrip() for line in lines)
