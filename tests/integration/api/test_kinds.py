"""Kinds of destinations and their mapping over HTTP: what fits, what is refused, and where."""

import uuid
from typing import Any

import pytest

from tasks_app.models import Destination, Event, Role, Twin, Workspace
from tests.support import factories
from tests.support.callers import Caller, caller

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/tasks"
MAIL = "mailto:ops@example.org"


def post(api: Caller, **fields: Any) -> Any:
    """Return the answer to a new destination."""
    return api.post("destinations/", {"name": "d", "url": URL, **fields})


@pytest.mark.parametrize(
    ("fields", "method", "path"),
    [
        ({}, "POST", None),
        ({"kind": "rest"}, "PUT", "id"),
        ({"kind": "rest", "method": "PATCH", "twin_id_path": "data.key"}, "PATCH", "data.key"),
        ({"kind": "rest", "method": None, "twin_id_path": None}, "PUT", "id"),
        ({"kind": "mail", "url": MAIL}, None, None),
    ],
)
def test_each_kind_has_its_defaults_and_can_be_sent_back_as_it_was_read(
    api: Caller, fields: dict[str, Any], method: str | None, path: str | None
) -> None:
    answer = post(api, **fields)
    assert answer.status == 201, answer.raw
    told = answer.body
    assert (told["method"], told["twin_id_path"], told["mapping"]) == (method, path, None)
    told.pop("secret")
    before = Event.objects.count()
    again = api.patch(f"destinations/{told['id']}/", told)
    assert again.status == 200, again.raw
    assert Event.objects.count() == before


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"kind": "pigeon"}, "/kind", "invalid_choice"),
        ({"method": "PUT"}, "/method", "invalid_choice"),
        ({"kind": "rest", "method": "POST"}, "/method", "invalid_choice"),
        ({"kind": "rest", "method": "DELETE"}, "/method", "invalid_choice"),
        ({"kind": "mail", "url": MAIL, "method": "POST"}, "/method", "not_for_this_kind"),
        ({"twin_id_path": "id"}, "/twin_id_path", "not_for_this_kind"),
        ({"kind": "rest", "twin_id_path": "a["}, "/twin_id_path", "bad_expression"),
        ({"kind": "rest", "twin_id_path": ""}, "/twin_id_path", "blank"),
        ({"kind": "mail", "url": MAIL, "headers": {"X": "1"}}, "/headers", "not_for_this_kind"),
        ({"kind": "mail", "url": MAIL, "mapping": "@"}, "/mapping", "not_for_this_kind"),
        ({"kind": "mail", "url": MAIL, "signature": "v1a"}, "/signature", "not_for_this_kind"),
        (
            {"kind": "mail", "url": MAIL, "auth": {"type": "bearer", "token": "t0ken"}},
            "/auth",
            "not_for_this_kind",
        ),
        ({"kind": "mail"}, "/url", "wrong_address"),
        ({"url": MAIL}, "/url", "wrong_address"),
        ({"kind": "rest", "url": MAIL}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:ops"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:a@example.org?cc=b@x.org"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:a@example.org%0ABcc:b@x.org"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:a@example.org\nBcc: b@x.org"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:a@example.org,"}, "/url", "wrong_address"),
        ({"kind": "mail", "url": "mailto:" + ",".join(["a@x.org"] * 2)}, "/url", "wrong_address"),
        ({"mapping": "task.["}, "/mapping", "bad_expression"),
        ({"mapping": "upper(task.title)"}, "/mapping", "bad_expression"),
        ({"mapping": ""}, "/mapping", "blank"),
        ({"mapping": 1}, "/mapping", "invalid"),
        ({"mapping": "a" * 4097}, "/mapping", "bad_expression"),
        ({"mapping": "task.nothing"}, "/mapping", "mapping_failed"),
        ({"mapping": "`NaN`"}, "/mapping", "mapping_failed"),
        ({"mapping": "&task"}, "/mapping", "mapping_failed"),
        ({"mapping": "abs(task.title)"}, "/mapping", "mapping_failed"),
        ({"mapping": "[@,@]" + "|[@,@][]" * 60}, "/mapping", "mapping_failed"),
    ],
)
def test_what_does_not_fit_a_kind_is_refused_at_its_place(
    api: Caller, fields: dict[str, Any], pointer: str, code: str
) -> None:
    answer = post(api, **fields)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)]), answer.raw
    assert not Destination.objects.exists()


def test_several_mistakes_are_told_together(api: Caller) -> None:
    answer = post(api, kind="mail", headers={"X": "1"}, mapping="@")
    assert {pointer for pointer, _ in answer.pointers} == {"/headers", "/mapping", "/url"}


def test_a_destination_keeps_its_kind(api: Caller) -> None:
    at = f"destinations/{post(api).body['id']}/"
    assert api.patch(at, {"kind": "rest"}).pointers == [("/kind", "kind_stays")]
    assert api.patch(at, {"kind": "webhook"}).status == 200
    assert api.patch(at, {"method": "PUT"}).pointers == [("/method", "invalid_choice")]


def test_a_mirror_with_twins_keeps_its_address(api: Caller) -> None:
    """Number 17 at another address would be somebody else's."""
    made = post(api, kind="rest").body
    at, elsewhere = f"destinations/{made['id']}/", "http://127.0.0.1:9/other"
    assert api.patch(at, {"url": elsewhere}).status == 200
    Twin.objects.create(
        destination_id=made["id"],
        task_id=uuid.uuid4(),
        remote_id="17",
        updated_at="2026-01-01T00:00:00Z",
    )
    assert api.patch(at, {"url": URL}).pointers == [("/url", "has_twins")]
    assert api.patch(at, {"url": elsewhere, "timeout": 20}).status == 200


def test_a_mapping_is_tried_on_the_last_event_that_is_wanted(api: Caller) -> None:
    api.post("tasks/", {"title": "a"})
    # The sample has due_at; the last event has not.
    refused = post(api, mapping="task.due_at")
    assert refused.pointers == [("/mapping", "mapping_failed")]
    assert "event 1 (task_created)" in refused.body["errors"][0]["detail"]
    assert post(api, mapping="task.due_at", events=["task_deleted"]).status == 201


def test_a_changed_filter_tries_the_mapping_again(api: Caller) -> None:
    made = post(api, mapping="changes", events=["task_updated"])
    assert made.status == 201
    refused = api.patch(f"destinations/{made.body['id']}/", {"events": ["task_created"]})
    assert refused.pointers == [("/mapping", "mapping_failed")]


def test_a_mapping_is_taken_away_with_null_and_the_log_names_it(api: Caller) -> None:
    made = post(api, mapping="task").body
    assert made["mapping"] == "task"
    assert api.patch(f"destinations/{made['id']}/", {"mapping": None}).body["mapping"] is None
    last = api.get("events/").body["results"][-1]
    assert (last["type"], last["changed"]) == ("destination_changed", ["mapping"])


def test_a_preview_shows_what_would_be_sent(api: Caller) -> None:
    preview = api.post("destinations/preview/", {})
    assert (preview.body["event"], preview.body["event_type"]) == (None, "task_created")
    assert preview.body["body"]["data"]["task"]["title"]
    api.post("tasks/", {"title": "Ünï"})
    api.post("tasks/", {"title": "b"})
    asked = {"mapping": "{text: task.title}", "event": 1}
    shown = api.post("destinations/preview/", asked)
    assert shown.status == 200
    assert shown.body == {
        "event": 1,
        "event_type": "task_created",
        "content_type": "application/json",
        "bytes": len('{"text":"Ünï"}'.encode()),
        "body": {"text": "Ünï"},
    }
    mirrored = api.post("destinations/preview/", {"kind": "rest"}).body["body"]
    assert (mirrored["title"], "sync" in mirrored) == ("b", False)
    mail = api.post("destinations/preview/", {"kind": "mail"}).body
    assert mail["content_type"] == "text/plain; charset=utf-8"
    assert mail["body"].startswith("Subject: Task #2 created: b\n\n")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"mapping": "task.nothing"}, "/mapping", "mapping_failed"),
        ({"mapping": "a["}, "/mapping", "bad_expression"),
        ({"mapping": "task", "kind": "mail"}, "/mapping", "not_for_this_kind"),
        ({"event": 999}, "/event", "not_found"),
        ({"event": 0}, "/event", "min_value"),
        ({"url": URL}, "/url", "unknown_field"),
    ],
)
def test_a_preview_refuses_with_a_pointer(
    api: Caller, body: dict[str, Any], pointer: str, code: str
) -> None:
    assert api.post("destinations/preview/", body).pointers == [(pointer, code)]


def test_a_preview_tries_nothing_of_another_workspace(api: Caller) -> None:
    for title in "abc":
        api.post("tasks/", {"title": title})
    stranger = caller(factories.workspace())
    answer = stranger.post("destinations/preview/", {"event": 3})
    assert answer.pointers == [("/event", "not_found")]
    assert stranger.post("destinations/preview/", {}).body["event"] is None


def test_only_who_manages_destinations_may_try(workspace: Workspace) -> None:
    member = caller(workspace, role=Role.MEMBER)
    assert member.post("destinations/preview/", {}).status == 403


def test_who_may_not_manage_sees_no_recipient(api: Caller, workspace: Workspace) -> None:
    made = post(api, kind="mail", url=MAIL).body
    shown = caller(workspace, role=Role.VIEWER).get(f"destinations/{made['id']}/").body
    assert shown["url"] == "mailto:•••"


def test_a_delivery_shows_its_twin(api: Caller) -> None:
    made = post(api, kind="rest").body
    other = post(api, name="hook").body
    task = api.post("tasks/", {"title": "a"}).body
    Twin.objects.create(
        destination_id=made["id"],
        task_id=task["id"],
        remote_id="17",
        updated_at="2026-01-01T00:00:00Z",
    )
    listed = {row["destination"]: row for row in api.get("deliveries/").body["results"]}
    assert listed[made["id"]]["twin"] == "17"
    assert listed[other["id"]]["twin"] is None
    assert api.get(f"deliveries/{listed[made['id']]['id']}/").body["twin"] == "17"
