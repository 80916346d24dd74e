"""Many children: started in the order given, ended in another, each with its time."""

import asyncio
from collections.abc import Iterable, Sequence

from config.embedded.process import ProcessSpec
from config.embedded.trouble import CannotStart
from config.supervisor.child import Child
from config.supervisor.log import Log
from config.supervisor.run_folder import RunFolder

POLL = 0.05
HASTE = 1.0  # seconds each child has after a second Ctrl-C


class Supervisor:
    """Keeps processes running and ends them."""

    def __init__(self, *, log: Log, run: RunFolder) -> None:
        self._log = log
        self._run = run
        self._children: list[Child] = []
        self._grace: float | None = None

    def start(self, specs: Iterable[ProcessSpec]) -> None:
        """Start the processes and keep them running from now on."""
        for spec in specs:
            child = Child(spec, log=self._log, run=self._run)
            self._children.append(child)
            child.start()

    async def ready(self, specs: Iterable[ProcessSpec], *, patience: float) -> None:
        """Wait until all are ready; raises CannotStart naming the one that is not in time."""
        await asyncio.gather(*(self._ready(spec, patience) for spec in specs))

    async def run_once(self, spec: ProcessSpec) -> int:
        """Run a step to its end and return its exit code; its lines join the log."""
        child = Child(spec, log=self._log, run=self._run)
        self._children.append(child)
        try:
            return await child.run_once()
        finally:
            self._children.remove(child)
            self._run.forget(spec.name)

    async def stop(self, order: Sequence[str]) -> bool:
        """End all children, one name after the other; ``worker`` stands for worker-1, -2 …

        Children of one name end together; what the order does not name ends first. Returns
        whether there was anything to end.
        """
        waiting = list(self._children)
        ranks = {name: rank for rank, name in enumerate(order)}
        while waiting:
            first = min(ranks.get(_role(child), -1) for child in waiting)
            batch = [child for child in waiting if ranks.get(_role(child), -1) == first]
            waiting = [child for child in waiting if child not in batch]
            await asyncio.gather(*(child.stop(self._grace) for child in batch))
        ended, self._children = bool(self._children), []
        return ended

    def hurry(self) -> None:
        """Cut every child's grace short, also of the one that is ending now."""
        self._grace = HASTE
        for child in self._children:
            child.hurry()

    async def _ready(self, spec: ProcessSpec, patience: float) -> None:
        try:
            async with asyncio.timeout(patience):
                while not await asyncio.to_thread(spec.is_ready):  # noqa: ASYNC110 — another's
                    await asyncio.sleep(POLL)
        except TimeoutError as error:
            raise CannotStart(
                f"{spec.name} was not ready within {patience:g} s; its own lines above say why."
            ) from error


def _role(child: Child) -> str:
    name, _, number = child.spec.name.rpartition("-")
    return name if number.isdigit() else child.spec.name
