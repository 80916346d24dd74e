"""How far a replay is, as the log tells it."""

from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import Cause
from tasks_app.events.new_event import NewEvent
from tasks_app.events.snapshot import destination_snapshot, replay_snapshot
from tasks_app.models import Destination, Replay


def replay_cause(replay: Replay) -> Cause:
    """Return who asked for the replay, in which request."""
    return Cause(**replay.actor, request_id=replay.request_id)


def progress_event(replay: Replay, destination: Destination, cause: Cause) -> NewEvent:
    """Return the event that tells of the replay as it stands."""
    return NewEvent(
        workspace_id=replay.workspace_id,
        type=EventType.REPLAY_PROGRESS,
        cause=cause,
        data={
            "replay": replay_snapshot(replay),
            "destination": destination_snapshot(destination),
        },
    )
