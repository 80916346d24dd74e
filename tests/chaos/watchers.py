"""Followers that write down every frame, come back with their cursor, and can be cut off."""

from typing import Any

from tests.chaos.records import CHANGES, Diary, Seen
from tests.support.followers import EventSourceFollower, Follower, SocketFollower
from tests.support.house import House


class _Watching(Follower):
    """Adds the record to a follower; it is patient, as clients are told to be."""

    def __init__(self, name: str, house: House, diary: Diary, *, after: str) -> None:
        super().__init__(house, after=after)
        self.name, self._diary = name, diary
        self.patient = True

    def _take(self, frame: dict[str, Any]) -> None:
        super()._take(frame)
        if frame["type"] == "reset":
            self._diary.write(Seen(follower=self.name, kind="reset", seq=frame["head"]))
        elif "id" in frame and "seq" in frame:
            self._diary.write(
                Seen(
                    follower=self.name,
                    kind="event",
                    seq=frame["seq"],
                    id=frame["id"],
                    type=frame["type"],
                )
            )


class SocketWatcher(_Watching, SocketFollower):
    """Over WebSocket."""

    over = "socket"


class EventSourceWatcher(_Watching, EventSourceFollower):
    """Over SSE."""

    over = "event-source"


def watchers(house: House, diary: Diary, *, after: str) -> list[_Watching]:
    """Return two of each kind, and one that wants only what clients did."""
    some = SocketWatcher("socket-changes", house, diary, after=after)
    some.filter = "".join(f"&types={kind}" for kind in CHANGES.values())
    kinds = (SocketWatcher, EventSourceWatcher)
    made = [kind(f"{kind.over}-{n}", house, diary, after=after) for n in (1, 2) for kind in kinds]
    return [*made, some]
