"""`manage.py drain`: deliver what is due, here and now, until nothing is.

For set-ups without beat and workers (from cron, once a minute), and for emergencies. It leases as
every worker does, so it may run beside them and beside another of itself. Schedules and imports
are looked after too.
"""

import contextlib
import signal
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from tasks_app.delivery import beats
from tasks_app.delivery.drain import close_engine, run_once
from tasks_app.delivery.due import NEVER, due_in
from tasks_app.delivery.post import send_notices
from tasks_app.delivery.sweep import clear_up, erase_the_past
from tasks_app.delivery.worker import Turn
from tasks_app.exchange.walk import import_some
from tasks_app.models import (
    Delivery,
    DeliveryState,
    ImportJob,
    LongQueue,
    Replay,
    ReplayState,
    Schedule,
)
from tasks_app.observability.metric_report import report_as
from tasks_app.observability.metrics import ATTEMPTS
from tasks_app.recurring import make_scheduled

PAUSE: Final = 0.5  # seconds between two rounds in which nothing moved
IN_VAIN: Final = 6  # such rounds in a row: what is due is held by others


class Command(BaseCommand):
    """Deliver in the foreground."""

    help = "Deliver what is due in the foreground, until nothing is; safe beside workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a limit of time."""
        parser.add_argument(
            "--for", type=float, dest="seconds", default=float("inf"), help="seconds at most"
        )

    def handle(self, *_args: Any, seconds: float, **_options: Any) -> None:
        """Deliver. Raises CommandError where nothing may be sent, or the database is away."""
        if not settings.OUTBOUND_ENABLED:
            raise CommandError("OUTBOUND_ENABLED is false: nothing may be sent. All of it waits.")
        before, turn = _attempts(), Turn()
        try:
            with _ended_by_signals(turn):
                self._rounds(turn, ends=time.monotonic() + seconds)
        finally:
            close_engine()
            beats.this_process().stop()
            beats.forget()
            turn.close()
            report_as("command").write()
        self._tell({state: count - before.get(state, 0) for state, count in _attempts().items()})

    def _rounds(self, turn: Turn, *, ends: float) -> None:
        if not beats.this_process().wait_heard(5):
            raise CommandError("PostgreSQL does not take this process's sign of life.")
        in_vain = 0
        while in_vain < IN_VAIN and not turn.is_over() and time.monotonic() < ends:
            done = sum(_attempts().values())
            clear_up()
            steps = make_scheduled() + import_some()
            send_notices()
            erase_the_past()
            turn.leave_word()
            run_once(turn)
            if not _expects():
                return
            moved = steps > 0 or sum(_attempts().values()) > done
            in_vain = 0 if moved else in_vain + 1
            time.sleep(0 if moved else PAUSE)

    def _tell(self, made: dict[str, float]) -> None:
        told = ", ".join(f"{count:.0f} {state}" for state, count in sorted(made.items()) if count)
        self.stdout.write(f"Attempts: {told or 'none, as nothing was due'}.")
        left = Delivery.objects.unfinished()
        if due_in(ahead=0) < NEVER:
            self.stdout.write("Some are due still: others hold them, or the time was up.")
        elif count := left.count():
            later = left.filter(state=DeliveryState.PENDING).order_by("next_attempt_at").first()
            when = f"; the next at {later.next_attempt_at:%Y-%m-%d %H:%M:%SZ}" if later else ""
            self.stdout.write(f"{count} wait for later, or for their destinations{when}.")


@contextlib.contextmanager
def _ended_by_signals(turn: Turn) -> Iterator[None]:
    """Finish what is sent and begin nothing more once SIGTERM or Ctrl-C comes."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        turn.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _attempts() -> dict[str, float]:
    """Return how many attempts this process has settled, by what became of them."""
    made: dict[str, float] = {}
    for family in ATTEMPTS.collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                state = sample.labels["state"]
                made[state] = made.get(state, 0) + sample.value
    return made


def _expects() -> bool:
    """Tell whether something is due now, or will be once a job or a long queue has gone on."""
    jobs = (
        Replay.objects.filter(state=ReplayState.RUNNING),
        ImportJob.objects.under_way(),
        Schedule.objects.due(),
        LongQueue.objects.all(),
    )
    return due_in(ahead=0) < NEVER or any(job.exists() for job in jobs)
