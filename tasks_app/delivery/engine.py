"""One loop, one Door and two helper threads for the life of a worker process.

A loop per drain would throw every kept-alive connection away. What a drain that was torn out of
its loop (SystemExit, MemoryError) leaves behind is cancelled, gathered and given back, and the
next drain gets a new loop: nothing may finish later that another worker sends as well.
"""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

import uvloop
from django.conf import settings

from tasks_app.connectors.auth.authorized import Authorizer
from tasks_app.connectors.base import Door, Outcome
from tasks_app.delivery.beats import CAUTION, Beats
from tasks_app.delivery.leased import Leased
from tasks_app.delivery.ledger import DatabaseLedger
from tasks_app.delivery.pump import Pump
from tasks_app.delivery.send import send
from tasks_app.delivery.worker import Word
from tasks_app.events.wake import wake_heard


class Engine:
    """Runs drains, one at a time."""

    def __init__(self, beats: Beats) -> None:
        self.pid = os.getpid()
        self.beats = beats
        self._ledger = DatabaseLedger(beats.name)
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._leasing = ThreadPoolExecutor(1, thread_name_prefix="leasing")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="writing")
        self._door: Door | None = None
        self._authorizer: Authorizer

    def drain(self, turn: Word) -> None:
        """Deliver until nothing is due, or until the worker's turn is over."""
        self._runner.run(self._drain(turn))

    def close(self) -> None:
        """Cancel what is under way, give it back and let everything go."""
        try:
            self._runner.run(self._shut())
        finally:
            self._runner.close()
            for thread in (self._leasing, self._writing):
                thread.submit(self._ledger.close)
                thread.shutdown(wait=True)

    async def _drain(self, turn: Word) -> None:
        pump = Pump(
            ledger=self._ledger,
            leasing=self._leasing,
            writing=self._writing,
            send=self._send,
            may_lease=lambda: self.beats.is_heard() and not turn.is_over(),
            may_send=self._may_send,
            read_word=turn.read_word,
            hear=wake_heard,
            slots=settings.DELIVERY_IN_FLIGHT,
        )
        wakes = turn.wakes()
        if wakes is not None:
            asyncio.get_running_loop().add_reader(wakes, pump.take_word)
        try:
            await pump.run()
        except BaseException:
            await pump.abandon()
            raise
        finally:
            if wakes is not None:
                asyncio.get_running_loop().remove_reader(wakes)

    def _may_send(self, row: Leased, leased_at: float) -> bool:
        """Tell whether nobody can have been given this lease since (this process's clock)."""
        lasts = row.destination.timeout + settings.DELIVERY_LEASE_MARGIN - CAUTION
        return self.beats.is_heard_since(leased_at) and time.monotonic() < leased_at + lasts

    async def _send(self, row: Leased) -> Outcome:
        if self._door is None:
            self._door = Door(
                allowed_networks=settings.OUTBOUND_ALLOWED_NETWORKS,
                connect_timeout=settings.DELIVERY_CONNECT_TIMEOUT,
                name_servers=settings.OUTBOUND_DNS_SERVERS,
                proxy=settings.OUTBOUND_PROXY,
            )
            self._authorizer = Authorizer(self._door)
        return await send(row, by=self._authorizer)

    async def _shut(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._door is not None:
            await self._door.aclose()
