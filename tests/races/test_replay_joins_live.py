"""A replay that joins the live followers while events are being committed: no gap, no double.

The steps are forced: pages are held back until more has been committed and told.
"""

import asyncio
import json
import random
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.db import connections

from realtime import database
from realtime.cursor import Head
from realtime.follower import Follower
from realtime.frames import EventFrame, Sendable
from realtime.limits import Limits, limits_from_settings
from realtime.room import Room
from tasks_app.queries.principal import Principal
from tests.support.stream_world import new_member, write

pytestmark = pytest.mark.django_db(transaction=True)


class Paper:
    """A line that writes down what it is told."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def write(self, message: Sendable) -> None:
        self.frames += [json.loads(text) for text in message.texts]

    def waiting(self) -> int:
        return 0

    async def drained(self) -> None:
        """Nothing ever waits."""

    def abort(self) -> None:
        """There is nothing to drop."""

    async def finish(self) -> None:
        """All is written."""

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if "id" in frame]


def new_follower(workspace_id: uuid.UUID, *, after: int, limits: Limits) -> tuple[Follower, Paper]:
    paper = Paper()
    principal = Principal(
        workspace_id=workspace_id,
        workspace="w",
        membership_id=uuid.uuid4(),
        role="viewer",
        user_id=1,
        username="u",
    )
    follower = Follower(line=paper, principal=principal, limits=limits)
    follower.position = after
    return follower, paper


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)
    assert condition(), what


async def commit(workspace_id: uuid.UUID, times: int) -> None:
    await database.in_thread(write, workspace_id, times)


@pytest.fixture
async def workspace_id(transactional_db: None) -> AsyncIterator[uuid.UUID]:
    """Make a workspace; afterwards close the connections of the loop's database threads."""
    member = await database.in_thread(new_member)
    yield member.workspace.pk
    barrier = threading.Barrier(database.THREADS)

    def close() -> None:
        barrier.wait(10)
        connections.close_all()

    await asyncio.gather(*(database.in_thread(close) for _ in range(database.THREADS)))


class HeldRoom(Room):
    """A room whose next page waits for somebody to let it go."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.hold: Callable[[list[EventFrame]], Any] | None = None

    async def _page(self, after: int) -> list[EventFrame]:
        frames = await super()._page(after)
        hold, self.hold = self.hold, None
        if hold is not None:
            await hold(frames)
        return frames


async def test_what_is_committed_while_the_last_page_is_in_hand_is_seen_once(
    workspace_id: uuid.UUID,
) -> None:
    limits = limits_from_settings()
    await commit(workspace_id, 5)
    room = HeldRoom(workspace_id, Head(5, "e"), limits)
    follower, paper = new_follower(workspace_id, after=0, limits=limits)

    async def commit_and_tell(frames: list[EventFrame]) -> None:
        assert [frame.seq for frame in frames] == [1, 2, 3, 4, 5]
        await commit(workspace_id, 3)
        room.hint(8)
        await until(lambda: room.position == 8, "the room has told 6, 7 and 8 to the live")

    room.hold = commit_and_tell
    room.enter(follower)
    await until(lambda: follower in room.live, "it has joined")
    await commit(workspace_id, 1)
    room.hint(9)
    await until(lambda: follower.position == 9, "it is told 9")
    room.close()
    assert paper.seqs == list(range(1, 10))


async def test_one_whose_cursor_is_ahead_of_the_room_sees_nothing_twice(
    workspace_id: uuid.UUID,
) -> None:
    limits = limits_from_settings()
    await commit(workspace_id, 4)
    room = Room(workspace_id, Head(1, "e"), limits)  # it has not heard of 2 to 4 yet
    follower, paper = new_follower(workspace_id, after=3, limits=limits)
    room.enter(follower)
    await until(lambda: follower in room.live, "it has joined")
    room.hint(4)
    await until(lambda: room.position == 4, "the room has caught up")
    room.close()
    assert paper.seqs == [4]


async def test_an_end_read_before_the_room_went_on_is_not_taken_for_another_log(
    workspace_id: uuid.UUID,
) -> None:
    limits = limits_from_settings()
    await commit(workspace_id, 3)
    room = Room(workspace_id, Head(0, "e"), limits)
    follower, paper = new_follower(workspace_id, after=0, limits=limits)
    room.enter(follower)
    asked_at = room.position
    room.hint(3)
    await until(lambda: room.position == 3, "the room went on meanwhile")
    room.look(Head(1, "e"), position_when_asked=asked_at)
    await until(lambda: follower.position == 3, "it is told all")
    room.close()
    assert [frame["type"] for frame in paper.frames] == ["task_created"] * 3


async def test_a_reset_while_a_page_is_in_hand_drops_the_page(workspace_id: uuid.UUID) -> None:
    limits = limits_from_settings()
    await commit(workspace_id, 3)
    room = HeldRoom(workspace_id, Head(3, "e"), limits)
    follower, paper = new_follower(workspace_id, after=0, limits=limits)

    async def begin_anew(frames: list[EventFrame]) -> None:
        room.look(Head(2, "f"), position_when_asked=3)

    room.hold = begin_anew
    room.enter(follower)
    await until(lambda: follower in room.live, "it has joined")
    room.close()
    assert paper.frames == [{"type": "reset", "head": 2, "epoch": "f"}]


async def test_a_page_that_fails_for_whatever_reason_is_read_again(
    workspace_id: uuid.UUID,
) -> None:
    limits = limits_from_settings()
    await commit(workspace_id, 2)
    room = HeldRoom(workspace_id, Head(2, "e"), limits)
    follower, paper = new_follower(workspace_id, after=0, limits=limits)

    async def fail(frames: list[EventFrame]) -> None:
        raise TypeError("nothing that the database says")

    room.hold = fail
    room.enter(follower)
    await until(lambda: follower in room.live, "its replay went on")
    room.hold = fail
    await commit(workspace_id, 1)
    room.hint(3)
    await until(lambda: follower.position == 3, "the reader went on")
    room.close()
    assert paper.seqs == [1, 2, 3]


@pytest.mark.parametrize("seed", range(4))
async def test_any_number_of_replays_beside_writers_stay_whole(
    workspace_id: uuid.UUID, seed: int
) -> None:
    chance = random.Random(seed)
    limits = limits_from_settings()
    await commit(workspace_id, 20)

    class Erratic(Room):
        async def _page(self, after: int) -> list[EventFrame]:
            frames = await super()._page(after)
            await asyncio.sleep(chance.random() * 0.01)
            return frames[: chance.randint(1, 7)]

    room = Erratic(workspace_id, Head(20, "e"), limits)
    entered = []
    for head in range(21, 61):
        await commit(workspace_id, 1)
        if chance.random() < 0.7:  # the other hints are lost
            room.hint(head)
        after = chance.randint(0, head)
        follower, paper = new_follower(workspace_id, after=after, limits=limits)
        room.enter(follower)
        entered.append((after, follower, paper))
    room.look(Head(60, "e"), position_when_asked=room.position)
    await until(lambda: all(each.position == 60 for _, each, _ in entered), "all are told all")
    room.close()
    for after, _, paper in entered:
        assert paper.seqs == list(range(after + 1, 61))
