"""Replays over HTTP: one selection, a job to watch, an end by hand; strict as all the API."""

import uuid
from typing import Any

import pytest

from tasks_app.actions import replay
from tasks_app.delivery.replaying import replay_some
from tasks_app.models import Delivery, Replay, Role, Scope, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def there(api: Caller) -> str:
    """Return a destination with three deliveries that have ended."""
    made = api.post("destinations/", {"name": "Good", "url": "http://127.0.0.1:9/"})
    for title in "abc":
        api.post("tasks/", {"title": title})
    Delivery.objects.update(state="succeeded", ended_at="2026-01-01T00:00:00Z")
    return str(made.body["id"])


def test_a_replay_is_accepted_watched_and_found_again(api: Caller, there: str) -> None:
    begun = api.post(f"destinations/{there}/replay/", {"from_seq": 1, "rate": 100})
    assert begun.status == 202, begun.raw
    body = begun.body
    assert begun.headers["Location"].endswith(f"/api/v1/replays/{body['id']}/")
    assert (body["state"], body["total"], body["made"], body["rate"]) == ("running", 3, 0, 100)
    assert (body["selection"]["from_seq"], body["selection"]["events"]) == (1, None)
    assert body["created_by"]
    replay_some()
    shown = api.get(f"replays/{body['id']}/")
    assert shown.headers["Stream-Cursor"]
    assert (shown.body["made"], shown.body["deliveries"]) == (3, {"pending": 3})
    (listed,) = api.get(f"replays/?destination={there}&state=running").body["results"]
    assert listed["id"] == body["id"]
    assert api.get("replays/?state=done").body["results"] == []
    (delivery, *_) = api.get("deliveries/?state=pending").body["results"]
    assert delivery["replay"] == body["id"]
    events = api.get("events/").body["results"]
    assert [e["replay"]["id"] for e in events if e["type"] == "replay_progress"] == [body["id"]]


def test_a_workspace_has_so_many_replays_under_way_and_not_one_more(
    api: Caller, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "OPEN_MAX", 2)
    begin = f"destinations/{there}/replay/"
    begun = [api.post(begin, {"from_seq": 1}).body["id"] for _ in range(2)]
    refused = api.post(begin, {"from_seq": 1})
    assert (refused.status, refused.body["type"]) == (409, "/problems/limit_reached")
    assert api.post(begin, {"from_seq": 1, "dry_run": True}).status == 200
    assert Replay.objects.count() == 2
    api.post(f"replays/{begun[0]}/cancel/")
    assert api.post(begin, {"from_seq": 1}).status == 202


def test_a_dry_run_answers_at_once_and_leaves_nothing(api: Caller, there: str) -> None:
    answer = api.post(f"destinations/{there}/replay/", {"states": ["succeeded"], "dry_run": True})
    told = {"dry_run": True, "total": 3, "skipped": 0, "complete": True, "counted_to": 4}
    assert (answer.status, answer.body) == (200, told)
    assert not Replay.objects.exists()


def test_a_dry_run_that_takes_too_long_says_how_far_it_came(
    api: Caller, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "DRY_RUN_SECONDS", 0.0)
    body = api.post(f"destinations/{there}/replay/", {"from_seq": 3, "dry_run": True}).body
    assert (body["complete"], body["counted_to"], body["total"]) == (False, 2, 0)


def test_a_replay_can_be_cancelled_once(api: Caller, there: str) -> None:
    begun = api.post(f"destinations/{there}/replay/", {"from_seq": 1}).body
    replay_some()
    at = f"replays/{begun['id']}/cancel/"
    assert api.post(at, {"cancel_waiting": "yes"}).pointers == [("/cancel_waiting", "invalid")]
    answer = api.post(at, {"cancel_waiting": True})
    assert (answer.status, answer.body["state"]) == (200, "cancelled")
    replay_some()
    assert api.get(f"replays/{begun['id']}/").body["deliveries"] == {"cancelled": 3}
    other = api.post(f"destinations/{there}/replay/", {"from_seq": 999}).body
    replay_some()
    refused = api.post(f"replays/{other['id']}/cancel/")
    assert (refused.status, refused.body["type"].rpartition("/")[2]) == (409, "replay_over")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "", "no_selection"),
        ({"rate": 5}, "", "no_selection"),
        ({"from_seq": 0}, "/from_seq", "min_value"),
        ({"from_seq": "1"}, "/from_seq", "invalid"),
        ({"from_seq": 5, "to_seq": 4}, "/to_seq", "out_of_range"),
        (
            {"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-01T00:00:00Z"},
            "/to_time",
            "out_of_range",
        ),
        ({"from_time": "yesterday"}, "/from_time", "invalid"),
        ({"from_seq": 1, "to_time": "2026-01-01T00:00:00Z"}, "/to_time", "one_selection"),
        ({"from_seq": 1, "events": ["evt_" + "0" * 32]}, "/events", "one_selection"),
        ({"states": ["pending"]}, "/states/0", "invalid_choice"),
        ({"states": []}, "/states", "empty"),
        ({"deliveries": [1]}, "/deliveries/0", "invalid"),
        ({"deliveries": [str(uuid.uuid4())]}, "/deliveries/0", "not_found"),
        ({"events": ["17"]}, "/events/0", "invalid"),
        ({"events": [17]}, "/events/0", "invalid"),
        ({"from_seq": 1, "rate": 0}, "/rate", "min_value"),
        ({"from_seq": 1, "rate": 1.5}, "/rate", "invalid"),
        ({"from_seq": 1, "dry_run": 1}, "/dry_run", "invalid"),
        ({"from_seq": 1, "all": True}, "/all", "unknown_field"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    api: Caller, there: str, body: Any, pointer: str, code: str
) -> None:
    answer = api.post(f"destinations/{there}/replay/", body)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)])
    assert not Replay.objects.exists()


def test_only_who_manages_deliveries_replays_and_nobody_sees_a_stranger_s(
    api: Caller, workspace: Workspace, there: str
) -> None:
    begun = api.post(f"destinations/{there}/replay/", {"from_seq": 1}).body
    reader = caller(workspace, role=Role.VIEWER, scope=Scope.READ)
    writer = caller(workspace, role=Role.MEMBER, scope=Scope.WRITE)
    for who in (reader, writer):
        assert who.post(f"destinations/{there}/replay/", {"from_seq": 1}).status == 403
        assert who.post(f"replays/{begun['id']}/cancel/").status == 403
        assert who.get(f"replays/{begun['id']}/").status == 200
    stranger = caller(factories.workspace())
    assert stranger.post(f"destinations/{there}/replay/", {"from_seq": 1}).status == 404
    assert stranger.get(f"replays/{begun['id']}/").status == 404
    assert stranger.post(f"replays/{begun['id']}/cancel/").status == 404
    assert stranger.get("replays/").body["results"] == []
    assert api.post(f"destinations/{uuid.uuid4()}/replay/", {"from_seq": 1}).status == 404
