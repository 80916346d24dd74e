"""One child: started, heard, started again when it dies, ended with its whole group."""

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable

from config.embedded.identity import MARK
from config.embedded.process import ProcessSpec, spawn_options
from config.supervisor.log import LineCutter, Log
from config.supervisor.run_folder import RunFolder

# Seconds before it is started again. Never 2 s: that is what users are promised.
PAUSES = (0.05, 0.2, 0.5, 1.0, 1.4)
LOOP_WINDOW = 20.0
LOOP_DEATHS = 3


class Ears(asyncio.SubprocessProtocol):
    """Hears a process: its lines, its end, and the end of all who share its output.

    ``asyncio.subprocess`` knows the last two only together, and would not see a main end
    whose children live on.
    """

    def __init__(self, take: Callable[[str], None]) -> None:
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()
        self._cutter = LineCutter(take)

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        """Pass on whole lines."""
        self._cutter.feed(data)

    def process_exited(self) -> None:
        """Note that the process itself has ended."""
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note that nobody holds its output any more."""
        self._cutter.end()
        self.silent.set()


class Child:
    """Keeps one process running until it is told to stop."""

    def __init__(self, spec: ProcessSpec, *, log: Log, run: RunFolder) -> None:
        self.spec = spec
        self._log = log
        self._run = run
        self._pid: int | None = None
        self._stopping = asyncio.Event()
        self._deaths: deque[float] = deque(maxlen=len(PAUSES))
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to keep it running."""
        self._keeper = asyncio.create_task(self._keep(), name=self.spec.name)

    async def stop(self, grace: float | None = None) -> None:
        """End it: its own signal, its grace in seconds, then SIGKILL to the group."""
        self._stopping.set()
        if self._keeper is None:
            return
        self._signal(self.spec.stop_signal)
        patience = self.spec.grace if grace is None else grace
        done, _ = await asyncio.wait({self._keeper}, timeout=patience)
        if not done:
            self._log.say("up", f"{self.spec.name} did not end within {patience:g} s: killed.")
            self._kill_group()
        await self._keeper

    def hurry(self) -> None:
        """End it now."""
        self._kill_group()

    @property
    def running(self) -> bool:
        """Tell whether its process is there."""
        return self._pid is not None

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                code = await self.run_once()
            except OSError as error:
                self._log.say(self.spec.name, f"cannot be started: {error}")
                code = 127
            if not self._stopping.is_set():
                await self._pause(code)
        self._run.forget(self.spec.name)

    async def run_once(self) -> int:
        """Run the process to its end, end what is left of its group, return its exit code."""
        await asyncio.to_thread(self.spec.before_start)
        if self._stopping.is_set():
            return 0
        options = spawn_options(self.spec)
        options["env"][MARK] = self._run.mark
        ears = Ears(lambda line: self._log.say(self.spec.name, line))
        # The child's death signal hangs on the thread that forks: this one lives as long as we.
        loop = asyncio.get_running_loop()
        transport, _ = await loop.subprocess_exec(lambda: ears, *self.spec.command, **options)
        self._pid = transport.get_pid()
        self._run.record(self.spec.name, self._pid)
        if self._stopping.is_set():
            self._signal(self.spec.stop_signal)  # told while there was no pid to tell it to
        try:
            await ears.exited.wait()
        finally:
            # A main that was killed may leave children that go on serving its port.
            self._kill_group()
            self._pid = None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ears.silent.wait(), timeout=1.0)
            transport.close()
        return transport.get_returncode() or 0

    async def _pause(self, code: int) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        recent = sum(1 for death in self._deaths if now - death < LOOP_WINDOW)
        pause = PAUSES[min(recent, len(PAUSES)) - 1]
        self._log.say("up", f"{self.spec.name} {_ended(code)}: starting it again.")
        if recent == LOOP_DEATHS:
            self._log.say(
                "up",
                f"{self.spec.name} keeps ending ({recent} times in {LOOP_WINDOW:g} s). Its own "
                f"lines above say why; it is tried again every {PAUSES[-1]:g} s.",
            )
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), timeout=pause)

    def _signal(self, number: signal.Signals) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, number)

    def _kill_group(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
