"""`manage.py replay WORKSPACE DESTINATION …`: events of the past once more, as the API does it.

What it makes is a replay job: it goes on when this command ends, and is seen and cancelled through
the API (`replays/`) like any other.
"""

import time
import uuid
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from tasks_app.actions.replay import Selection, count_replay, create_replay
from tasks_app.events.cause import system
from tasks_app.exceptions import Refusal
from tasks_app.models import DeliveryState, Destination, Replay, ReplayState, Workspace
from tasks_app.models.delivery import OPEN_STATES
from tasks_app.queries.replay import delivery_states

ENDED: Final = [state.value for state in DeliveryState if state not in OPEN_STATES]
OVER: Final = {ReplayState.DONE, ReplayState.CANCELLED}
LOOK_EVERY: Final = 1.0  # seconds


def moment(text: str) -> datetime:
    """Return a moment of ISO 8601; UTC where it names no zone."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("must be ISO 8601, as in 2026-01-31T12:00Z") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


class Command(BaseCommand):
    """Replay, or count what a replay would send."""

    help = "Send events of the past to one destination again, with their old ids."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whose, what, and how."""
        parser.add_argument("workspace", help="its slug")
        parser.add_argument("destination", help="its id or its name")
        parser.add_argument("--from-seq", type=int)
        parser.add_argument("--to-seq", type=int, help="inclusive")
        parser.add_argument("--from-time", type=moment, help="ISO 8601")
        parser.add_argument("--to-time", type=moment)
        parser.add_argument(
            "--state", action="append", choices=ENDED, help="only what ended so; may be repeated"
        )
        parser.add_argument("--rate", type=int, help="deliveries a second at most")
        parser.add_argument("--dry-run", action="store_true", help="count only")
        parser.add_argument("--wait", action="store_true", help="until it is over; tells progress")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it. Raises CommandError where it can't, or where it was cancelled meanwhile."""
        workspace, destination = _found(options["workspace"], options["destination"])
        chosen: dict[str, Any] = {
            "workspace_id": workspace.pk,
            "destination_id": destination.pk,
            "selection": _selection(options),
        }
        try:
            if options["dry_run"]:
                self._count(**chosen)
                return
            replay = create_replay(**chosen, rate=options["rate"], cause=system("manage.py replay"))
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        total = "unknown" if replay.total is None else replay.total
        self.stdout.write(f"Replay {replay.pk} begins; deliveries to make: {total}.")
        if options["wait"]:
            self._wait(replay)

    def _count(self, **chosen: Any) -> None:
        count = count_replay(**chosen)
        self.stdout.write(f"It would make {count.total} deliveries.")
        if count.under_way:
            self.stdout.write(f"{count.under_way} events are under way already.")

    def _wait(self, replay: Replay) -> None:
        """Tell of it until it is over; Ctrl-C leaves it to itself."""
        told = ""
        try:
            while replay.state not in OVER:
                time.sleep(LOOK_EVERY)
                replay.refresh_from_db()
                told = self._tell(replay, told)
        except KeyboardInterrupt:
            self.stdout.write("It goes on without us; cancel it with POST replays/{id}/cancel/.")
            return
        if replay.state == ReplayState.CANCELLED:
            raise CommandError(f"It was cancelled ({replay.reason}).")
        ended = delivery_states([replay])[replay.pk]
        states = ", ".join(f"{count} {state}" for state, count in ended.items())
        self.stdout.write(f"Done: {states or 'there was nothing to send'}.")

    def _tell(self, replay: Replay, told: str) -> str:
        why = f" ({replay.reason})" if replay.reason else ""
        now = f"{replay.state}{why}: {replay.made} made, {replay.ended} of them ended"
        if now != told:
            self.stdout.write(now)
            self.stdout.flush()
        return now


def _found(slug: str, name: str) -> tuple[Workspace, Destination]:
    workspace = Workspace.objects.filter(slug=slug).first()
    if workspace is None:
        raise CommandError(f"There is no workspace {slug}.")
    rows = Destination.objects.in_workspace(workspace.pk)
    try:
        destination = rows.filter(pk=uuid.UUID(name)).first()
    except ValueError:
        destination = rows.filter(name=name).first()
    if destination is None:
        names = ", ".join(sorted(rows.values_list("name", flat=True)[:20]))
        raise CommandError(f"{slug} has no destination {name}. It has: {names or 'none'}.")
    return workspace, destination


def _selection(options: dict[str, Any]) -> Selection:
    """Return what was chosen; the same rule as the API's: by seq or by time, or by state alone."""
    by_seq = [options["from_seq"], options["to_seq"]]
    by_time = [options["from_time"], options["to_time"]]
    seqs, times = (any(x is not None for x in pair) for pair in (by_seq, by_time))
    if seqs and times:
        raise CommandError("Choose by seq or by time, not by both.")
    if not (seqs or times or options["state"]):
        raise CommandError(
            "Choose what to replay: --from-seq 1 for all, --from-time, --state dead."
        )
    for first, last in (by_seq, by_time):
        if first is not None and last is not None and first > last:
            raise CommandError("The range ends before it begins.")
    return Selection(
        from_seq=by_seq[0],
        to_seq=by_seq[1],
        from_time=by_time[0],
        to_time=by_time[1],
        states=options["state"] or (),
    )
