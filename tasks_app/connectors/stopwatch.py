"""Where an attempt is and how long each phase took; one per request, followed by a ContextVar."""

from contextvars import ContextVar
from time import perf_counter
from typing import Final

from tasks_app.connectors.failure import Phase
from tasks_app.security.addresses import Address

_ORDER: Final = {phase: position for position, phase in enumerate(Phase)}


class Stopwatch:
    """Phases only go forward: what reports late (a body still being written) changes nothing."""

    __slots__ = (
        *("_since", "_started", "is_fresh", "is_proxied", "is_tls"),
        *("phase", "phases", "status", "vetted"),
    )

    def __init__(self) -> None:
        self._started = self._since = perf_counter()
        self.phase: Phase = Phase.DNS
        self.phases: dict[str, float] = {}
        self.is_fresh = False
        """A connection was opened for this request, rather than taken from the pool."""
        """To the proxy, where the request goes by one."""
        self.is_proxied = False
        self.is_tls = False
        self.status: int | None = None
        """The answer's status, once its headers are there."""
        self.vetted: tuple[Address, ...] = ()
        """The only addresses the connection may lead to."""

    def enter(self, phase: Phase) -> None:
        """Note that a phase begins now and the one before has ended."""
        if _ORDER[phase] > _ORDER[self.phase]:
            self._close()
            self.phase = phase

    def skip_to(self, phase: Phase) -> None:
        """Begin with this phase: the ones before were not needed."""
        self.phases.clear()
        self.phase = phase

    def stop(self) -> float:
        """End the phase that is under way; gives the milliseconds since the start."""
        self._close()
        return round((self._since - self._started) * 1000, 3)

    def _close(self) -> None:
        now = perf_counter()
        self.phases[self.phase.value] = round((now - self._since) * 1000, 3)
        self._since = now


running: ContextVar[Stopwatch] = ContextVar("running")
