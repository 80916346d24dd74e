"""The log over HTTP: in order, from any seq, and a task's own also after its deletion."""

import uuid

import pytest

from tests.support.callers import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def gone(api: Caller) -> str:
    """Return the id of a task that was created, changed and deleted beside another."""
    one = api.post("tasks/", {"title": "One"}).body["id"]
    api.post("tasks/", {"title": "Other"})
    api.patch(f"tasks/{one}/", {"title": "Two"})
    api.delete(f"tasks/{one}/")
    return str(one)


def test_the_log_is_read_in_order_from_any_seq(api: Caller, gone: str) -> None:
    whole = api.get("events/").body["results"]
    assert [event["seq"] for event in whole] == [1, 2, 3, 4]
    assert [event["seq"] for event in api.get("events/?after=2").body["results"]] == [3, 4]
    assert api.get("events/?after=4").body == {"next": None, "previous": None, "results": []}
    page = api.get("events/?after=1&limit=2").body
    assert [event["seq"] for event in page["results"]] == [2, 3]
    assert [event["seq"] for event in api.get(page["next"]).body["results"]] == [4]


def test_a_task_s_events_stay_after_its_deletion(api: Caller, gone: str) -> None:
    events = api.get(f"tasks/{gone}/events/").body["results"]
    assert [event["type"] for event in events] == ["task_created", "task_updated", "task_deleted"]
    assert events[1]["changes"] == {"title": ["One", "Two"]}
    assert {event["task"]["id"] for event in events} == {gone}
    assert api.get(f"tasks/{gone}/events/?after=4").body["results"] == []


def test_a_task_that_never_was_has_no_log(api: Caller) -> None:
    assert api.get(f"tasks/{uuid.uuid4()}/events/").status == 404


def test_every_read_tells_where_the_stream_goes_on(api: Caller, gone: str) -> None:
    for path in ("tasks/", "events/", f"tasks/{gone}/events/", "destinations/", "deliveries/"):
        epoch, _, seq = api.get(path).headers["Stream-Cursor"].partition(".")
        assert (len(epoch), seq) == (8, "4"), path
    other = api.get("tasks/").body["results"][0]["id"]
    assert api.get(f"tasks/{other}/").headers["Stream-Cursor"].endswith(".4")
