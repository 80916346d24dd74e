"""Replays in the test's own process: begun by the action, walked as the sweep walks them."""

from typing import Any

from tasks_app.actions.replay import Selection, create_replay
from tasks_app.delivery.replaying import advance
from tasks_app.models import Destination, Replay
from tests.support.factories import cause


def replay(of: Destination, *, rate: int | None = None, **selection: Any) -> Replay:
    """Begin a replay; of everything that has ended unless told otherwise."""
    return create_replay(
        workspace_id=of.workspace_id,
        destination_id=of.pk,
        selection=Selection(**(selection or {"from_seq": 1})),
        rate=rate,
        cause=cause(),
    )


def walk(one: Replay) -> Replay:
    """Take steps until the next would do nothing; return the replay as it is then."""
    while advance(one.pk):
        pass
    one.refresh_from_db()
    return one
