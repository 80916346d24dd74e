"""One child: started, heard, started again when it dies, ended with its whole group."""

import asyncio
import contextlib
import os
import signal
import time
from collections import deque

from config.embedded.identity import MARK
from config.embedded.process import ProcessSpec, spawn_options
from config.supervisor.log import LineCutter, Log
from config.supervisor.run_folder import RunFolder

# Seconds before it is started again. Never 2 s: that is what users are promised.
PAUSES = (0.05, 0.2, 0.5, 1.0, 1.4)
LOOP_WINDOW = 20.0
LOOP_DEATHS = 3


class Child:
    """Keeps one process running until it is told to stop."""

    def __init__(self, spec: ProcessSpec, *, log: Log, run: RunFolder) -> None:
        self.spec = spec
        self._log = log
        self._run = run
        self._process: asyncio.subprocess.Process | None = None
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
        return self._process is not None

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
        # The child's death signal hangs on the thread that forks: this one lives as long as we.
        process = await asyncio.create_subprocess_exec(*self.spec.command, **options)
        self._process = process
        self._run.record(self.spec.name, process.pid)
        reader = asyncio.create_task(self._listen(process))
        try:
            return await process.wait()
        finally:
            # A main that was killed may leave children that go on serving its port.
            self._kill_group()
            self._process = None
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader, timeout=1.0)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        cutter = LineCutter(lambda line: self._log.say(self.spec.name, line))
        while process.stdout is not None and (data := await process.stdout.read(65_536)):
            cutter.feed(data)
        cutter.end()

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
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._process.pid, number)

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"
