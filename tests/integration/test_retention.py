"""Retention: the past goes from its old end, and nothing that is still needed goes with it."""

import uuid

import pytest
from django.db import connection, transaction
from django.test import override_settings

from tasks_app.actions.delivery import retry_delivery
from tasks_app.actions.task import create_task
from tasks_app.delivery.retention import forget_some, look_again
from tasks_app.exceptions import Invalid
from tasks_app.models import Attempt, Delivery, Destination, Event, LogFloor, Replay, Workspace
from tasks_app.queries.replay import Chosen, count_chosen
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.callers import Caller, caller
from tests.support.engine import deliver, states, to
from tests.support.factories import cause
from tests.support.latest import DONE, NOWHERE, settled
from tests.support.replays import replay, walk
from tests.support.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)
ON = override_settings(RETENTION_LOG_DAYS=90, RETENTION_ATTEMPTS_DAYS=30)


@pytest.fixture
def api(workspace: Workspace) -> Caller:
    return caller(workspace)


@pytest.fixture
def other(workspace: Workspace) -> Workspace:
    return factories.workspace()


def past(workspace: Workspace, days: int) -> None:
    """Let all that is there now have happened so many days ago, as if the clock had been set so."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event DISABLE TRIGGER event_is_final")
        cursor.execute(
            "UPDATE event SET at = at - make_interval(days => %s::integer) WHERE workspace_id = %s",
            [days, workspace.pk],
        )
        cursor.execute("ALTER TABLE event ENABLE TRIGGER event_is_final")
        cursor.execute("SELECT id FROM attempt")
        shift = days * 86_400_000
        for (pk,) in cursor.fetchall():
            old = uuid.UUID(int=pk.int - (shift << 80))
            cursor.execute("UPDATE attempt SET id = %s WHERE id = %s", [old, pk])


def forget() -> int:
    """Forget until nothing is left to forget; return how many rows went or floors rose."""
    look_again()
    total = 0
    with ON:
        while done := _step():
            total += done
    return total


def _step() -> int:
    with transaction.atomic():
        return forget_some()


def make(workspace: Workspace, count: int) -> None:
    for number in range(count):
        create_task(workspace_id=workspace.pk, fields={"title": str(number)}, cause=cause())


def seqs(workspace: Workspace) -> list[int]:
    return list(Event.objects.in_workspace(workspace.pk).after(0).values_list("seq", flat=True))


def test_what_is_older_goes_and_what_is_not_stays(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 3)
    settled(DONE)
    past(workspace, 91)
    last = seqs(workspace)[-1]
    make(workspace, 2)
    settled(DONE)
    assert forget() > 0
    assert seqs(workspace)[0] == last + 1
    assert states(there) == ["succeeded", "succeeded"]
    assert Attempt.objects.count() == 2
    assert LogFloor.objects.get().kept_from == last + 1
    assert forget() == 0


def test_nothing_goes_before_its_time_or_where_all_is_kept(workspace: Workspace) -> None:
    to(workspace, NOWHERE)
    make(workspace, 2)
    settled(DONE)
    past(workspace, 89)
    assert forget() == 2  # the attempts: they are kept for 30 days
    past(workspace, 1000)
    look_again()
    with override_settings(RETENTION_LOG_DAYS=0, RETENTION_ATTEMPTS_DAYS=0):
        assert _step() == 0
    assert seqs(workspace)[0] == 1


def test_other_workspaces_keep_theirs(workspace: Workspace, other: Workspace) -> None:
    make(workspace, 2)
    make(other, 2)
    past(workspace, 91)
    forget()
    assert seqs(workspace) == []
    assert seqs(other) == [1, 2]


def test_attempts_may_go_sooner_than_their_deliveries(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 1)
    settled(DONE)
    past(workspace, 31)
    forget()
    assert not Attempt.objects.exists()
    assert states(there) == ["succeeded"]


def test_what_is_under_way_keeps_its_event_and_all_that_follows(workspace: Workspace) -> None:
    """A paused destination drops nothing, however long: it is sent when that resumes."""
    with sink() as here:
        paused = to(workspace, here.url, name="paused", state="active")
        other = to(workspace, NOWHERE, name="other")
        make(workspace, 1)
        Destination.objects.filter(pk=paused.pk).update(state="paused")
        make(workspace, 2)
        settled(DONE)
        before = seqs(workspace)
        kept = Delivery.objects.filter(destination=paused).order_by("event_seq")[0].event_seq
        past(workspace, 91)
        forget()
        assert seqs(workspace) == [seq for seq in before if seq >= kept]
        assert states(other) == ["succeeded"] * 3
        Destination.objects.filter(pk=paused.pk).update(state="active")
        deliver()
        assert len(here.came) == 3
    forget()
    assert [seq for seq in seqs(workspace) if seq <= before[-1]] == []
    assert states(paused) == []


def test_a_replay_under_way_keeps_what_it_may_still_read(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 3)
    settled(DONE)
    begun = replay(there)
    past(workspace, 91)
    forget()
    assert seqs(workspace)[0] == 1
    assert walk(begun).made == 3
    settled(DONE)
    walk(begun)
    forget()
    assert seqs(workspace)[0] > begun.to_seq


def test_replays_begin_where_the_log_does(workspace: Workspace, api: Caller) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 2)
    settled(DONE)
    past(workspace, 91)
    make(workspace, 1)
    settled(DONE)
    forget()
    floor = LogFloor.objects.get().kept_from
    answer = api.post(f"destinations/{there.pk}/replay/", {"from_seq": 1})
    assert (answer.status, answer.pointers) == (400, [("/from_seq", "no_longer_kept")])
    begun = api.post(f"destinations/{there.pk}/replay/", {"states": ["succeeded"]})
    assert (begun.status, begun.body["total"]) == (202, 1)
    assert Replay.objects.get().from_seq == floor


def test_what_is_no_longer_kept_is_refused_by_its_id_as_well(
    workspace: Workspace, api: Caller
) -> None:
    """Its rows may be there still: something older is under way."""
    paused = to(workspace, NOWHERE, name="paused")
    there = to(workspace, NOWHERE, name="there")
    make(workspace, 2)
    Destination.objects.filter(pk=paused.pk).update(state="paused")
    settled(DONE)
    past(workspace, 91)
    make(workspace, 1)
    forget()
    rows = list(Delivery.objects.filter(destination=there).order_by("event_seq"))
    assert len(rows) == 3
    at = f"destinations/{there.pk}/replay/"
    for dry_run in (False, True):
        ids = [str(rows[2].pk), str(rows[0].pk)]
        refused = api.post(at, {"deliveries": ids, "dry_run": dry_run})
        assert (refused.status, refused.pointers) == (400, [("/deliveries/1", "no_longer_kept")])
    event = Event.objects.get(workspace_id=workspace.pk, seq=rows[0].event_seq)
    refused = api.post(at, {"events": [f"evt_{event.pk.hex}"]})
    assert (refused.status, refused.pointers) == (400, [("/events/0", "no_longer_kept")])


def test_a_floor_that_rises_while_a_replay_is_made_is_heeded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was planned, before it has the head."""
    there = to(workspace, NOWHERE)
    make(workspace, 2)
    named = Event.objects.get(workspace_id=workspace.pk, seq=2).pk

    def rises(replay: Replay, *, seconds: float) -> Chosen:
        LogFloor.objects.update_or_create(workspace_id=workspace.pk, defaults={"kept_from": 3})
        return count_chosen(replay, seconds=seconds)

    monkeypatch.setattr("tasks_app.actions.replay.count_chosen", rises)
    begun = replay(there, to_seq=3)
    assert (begun.from_seq, begun.cursor) == (3, 2)
    LogFloor.objects.all().delete()
    with pytest.raises(Invalid) as refused:
        replay(there, events=[named])
    assert [one.code for one in refused.value.errors] == ["no_longer_kept"]
    assert Replay.objects.count() == 1


def test_a_dead_delivery_can_be_retried_until_it_goes(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE)
    make(workspace, 1)
    Delivery.objects.update(state="dead", ended_at="2020-01-01T00:00:00Z")
    past(workspace, 91)
    dead = Delivery.objects.get()
    retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
    forget()
    assert states(there) == ["pending"]
    assert settled(DONE) == 1


def test_a_list_that_would_have_a_hole_is_refused(workspace: Workspace, api: Caller) -> None:
    make(workspace, 3)
    page = api.get("events/?limit=1").body
    past(workspace, 91)
    make(workspace, 2)
    forget()
    for url in ("events/?after=0", "events/?after=2", page["next"]):
        gone = api.get(url)
        assert (gone.status, gone.body["kept_from"]) == (410, 4)
        assert gone.body["type"].endswith("no_longer_kept")
    assert [one["seq"] for one in api.get("events/?after=3").body["results"]] == [4, 5]
    assert [one["seq"] for one in api.get("events/").body["results"]] == [4, 5]


def test_the_digest_tells_from_where_it_knows(workspace: Workspace, api: Caller) -> None:
    there = to(workspace, NOWHERE, max_concurrency=50)
    make(workspace, 5)
    settled(DONE)
    again = walk(replay(there, to_seq=2))  # an old event with a new sequence: a hole to come
    settled(DONE)
    walk(again)
    past(workspace, 91)
    make(workspace, 2)
    settled(DONE)
    at = f"destinations/{there.pk}/deliveries"
    whole = api.get(f"{at}/digest/?window=4").body
    assert (whole["kept_from"], [one["forgotten"] for one in whole["results"]]) == (1, [0, 0])
    forget()
    part = api.get(f"{at}/digest/?window=4").body
    assert (part["kept_from"], part["head"]) == (7, 8)
    (window,) = part["results"]
    assert (window["after"], window["until"], window["delivered"]) == (6, 8, 2)
    Delivery.objects.filter(sequence=8).update(event_seq=1)
    Delivery.objects.filter(sequence=8).delete()
    assert api.get(f"{at}/digest/").body["results"][0]["forgotten"] == 1
    Delivery.objects.all().delete()
    none = api.get(f"{at}/digest/").body
    assert (none["kept_from"], none["results"]) == (9, [])


def test_a_batch_is_bounded_and_the_rest_follows(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries first, then their events, in the order of seq: never a hole."""
    there = [to(workspace, NOWHERE, name=str(n)) for n in range(3)]
    for one in there:
        backlog(one, 200, state="pending")
    Delivery.objects.update(state="succeeded", ended_at="2020-01-01T00:00:00Z")
    past(workspace, 91)
    monkeypatch.setattr("tasks_app.delivery.retention.STRIDE", 50)
    monkeypatch.setattr("tasks_app.delivery.retention.MOST", 40)
    look_again()
    with ON:
        while (done := _step()) > 0:
            assert done <= 91  # a floor that rises counts for one
            left = seqs(workspace)
            assert left == list(range(left[0], left[-1] + 1)) if left else True
            orphans = Delivery.objects.exclude(event_seq__in=left)
            assert not orphans.exists()
    assert not Delivery.objects.exists()


def test_a_workspace_that_is_held_up_keeps_no_other(workspace: Workspace, other: Workspace) -> None:
    held = to(workspace, NOWHERE)
    make(workspace, 1)
    make(other, 1)
    past(workspace, 91)
    past(other, 91)
    forget()
    assert states(held) == ["pending"]
    assert seqs(other) == []
