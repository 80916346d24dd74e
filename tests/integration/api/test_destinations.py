"""Destinations and deliveries over HTTP: secrets shown once, states, tests, attempts."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tasks_app.actions.stream_ticket import create_ticket
from tasks_app.actions.workspace import delete_workspace
from tasks_app.models import ApiKey, Attempt, Delivery, Destination, StreamTicket, Workspace
from tasks_app.models.sealed import open_secret
from tasks_app.security import tickets
from tests.support import factories
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db
GOOD = {"name": "Good", "url": "http://127.0.0.1:9/hook?x=1"}


def made(api: Caller, **fields: Any) -> Any:
    answer = api.post("destinations/", {**GOOD, **fields})
    assert answer.status == 201, answer.raw
    return answer.body


def types(api: Caller) -> list[str]:
    return [event["type"] for event in api.get("events/").body["results"]]


def test_a_destination_has_the_defaults_of_the_contract(api: Caller) -> None:
    body = made(api)
    assert (body["kind"], body["method"], body["events"]) == ("webhook", "POST", ["*"])
    assert (body["max_concurrency"], body["timeout"], body["state"]) == (10, 15, "active")
    assert body["retry_schedule"][:3] == [5, 30, 300]
    assert (body["pending"], body["oldest_due_at"]) == (0, None)
    shown = api.get(f"destinations/{body['id']}/").body
    assert shown == {name: value for name, value in body.items() if name != "secret"}


def test_the_secret_is_shown_once_and_kept_sealed(api: Caller) -> None:
    body = made(api)
    secret = body["secret"]
    assert secret.startswith("whsec_")
    row = Destination.objects.get(pk=body["id"])
    assert secret not in row.sealed_secret
    assert open_secret(destination_id=row.pk, sealed=row.sealed_secret) == secret
    for path in ("destinations/", f"destinations/{row.pk}/", "events/"):
        assert secret.encode() not in api.get(path).raw


def test_after_a_rotation_the_old_secret_lives_for_a_day(api: Caller) -> None:
    body = made(api)
    rotated = api.post(f"destinations/{body['id']}/rotate-secret/").body
    assert rotated["secret"] != body["secret"]
    row = Destination.objects.get(pk=body["id"])
    assert open_secret(destination_id=row.pk, sealed=row.sealed_secret) == rotated["secret"]
    assert open_secret(destination_id=row.pk, sealed=row.sealed_old_secret) == body["secret"]
    assert row.old_secret_expires_at is not None
    left = row.old_secret_expires_at - timezone.now()
    assert timedelta(hours=23, minutes=55) < left <= timedelta(hours=24)
    assert "secret" not in api.get(f"destinations/{row.pk}/").body


def test_a_change_is_an_event_and_no_change_is_none(api: Caller) -> None:
    body = made(api)
    at = f"destinations/{body['id']}/"
    assert api.patch(at, {"timeout": 15}).status == 200
    assert api.patch(at, {"timeout": 20, "headers": {"X-A": "1"}}).body["timeout"] == 20
    assert types(api) == ["destination_created", "destination_changed"]


def test_a_whole_destination_may_be_sent_back_while_its_backlog_moves(
    api: Caller, workspace: Workspace
) -> None:
    body = made(api)
    body.pop("secret")
    api.post("tasks/", {"title": "x"})
    answer = api.patch(f"destinations/{body['id']}/", body)
    assert (answer.status, answer.body["pending"]) == (200, 1)


def test_a_name_is_free_again_once_its_destination_is_gone(api: Caller) -> None:
    body = made(api)
    assert api.post("destinations/", GOOD).pointers == [("/name", "unique")]
    assert api.delete(f"destinations/{body['id']}/").status == 204
    assert api.get(f"destinations/{body['id']}/").status == 404
    made(api)
    assert types(api)[:2] == ["destination_created", "destination_deleted"]


def test_pausing_and_resuming_are_told_once(api: Caller) -> None:
    at = f"destinations/{made(api)['id']}/"
    for action, state in (("pause", "paused"), ("resume", "active")):
        for _ in range(2):
            answer = api.post(f"{at}{action}/")
            assert (answer.status, answer.body["state"]) == (200, state)
    assert types(api)[1:] == ["destination_paused", "destination_resumed"]


def test_the_backlog_counts_what_is_under_way(api: Caller) -> None:
    one, two = made(api), made(api, name="Other", events=["task_deleted"])
    for title in "abc":
        api.post("tasks/", {"title": title})
    listed = {row["id"]: row for row in api.get("destinations/").body["results"]}
    assert (listed[one["id"]]["pending"], listed[two["id"]]["pending"]) == (3, 0)
    assert listed[one["id"]]["oldest_due_at"] is not None
    assert listed[two["id"]]["oldest_due_at"] is None


def test_a_test_queues_a_ping_for_this_destination_alone(api: Caller) -> None:
    one, _ = made(api), made(api, name="Other")
    answer = api.post(f"destinations/{one['id']}/test/")
    assert answer.status == 202
    assert (answer.body["event_type"], answer.body["task"]) == ("ping", None)
    assert answer.body["destination"] == one["id"]
    assert Delivery.objects.count() == 1


@pytest.fixture
def delivery(api: Caller, workspace: Workspace) -> Delivery:
    factories.destination(workspace)
    api.post("tasks/", {"title": "x"})
    return Delivery.objects.get()


def test_a_delivery_s_detail_carries_its_attempts(api: Caller, delivery: Delivery) -> None:
    for number in (2, 1):
        Attempt.objects.create(
            delivery=delivery,
            number=number,
            started_at=timezone.now(),
            duration_ms=12.5,
            phases={"dns": 1.0},
            status_code=500,
            error="http_5xx",
        )
    body = api.get(f"deliveries/{delivery.pk}/").body
    assert [attempt["number"] for attempt in body["attempt_log"]] == [1, 2]
    assert body["attempt_log"][0]["phases"] == {"dns": 1.0}
    assert body["message_id"] == f"msg_{delivery.message_id.hex}"
    listed = api.get("deliveries/").body["results"][0]
    assert listed == {name: value for name, value in body.items() if name != "attempt_log"}


def test_deliveries_are_found_by_state_destination_task_and_event(
    api: Caller, delivery: Delivery
) -> None:
    for query, found in (
        ("state=pending", 1),
        ("state=pending&state=dead", 1),
        ("state=dead", 0),
        (f"destination={delivery.destination_id}", 1),
        (f"destination={uuid.uuid4()}", 0),
        (f"task={delivery.task_id}", 1),
        (f"event={delivery.event_seq}", 1),
        ("event=999", 0),
    ):
        assert len(api.get(f"deliveries/?{query}").body["results"]) == found, query


def test_a_delivery_is_cancelled_and_retried_by_hand(api: Caller, delivery: Delivery) -> None:
    at = f"deliveries/{delivery.pk}/"
    refused = api.post(f"{at}retry/")
    assert (refused.status, refused.body["type"]) == (409, "/problems/not_retryable")
    assert api.post(f"{at}cancel/").body["state"] == "cancelled"
    refused = api.post(f"{at}cancel/")
    assert (refused.status, refused.body["type"]) == (409, "/problems/not_cancellable")
    assert api.post(f"{at}retry/").body["state"] == "pending"
    assert types(api)[1:] == ["task_sync_cancelled", "task_sync_scheduled"]


def test_a_ticket_is_kept_as_a_digest_and_bound_to_its_key(api: Caller) -> None:
    answer = api.post("stream/ticket/", {})
    assert answer.status == 201
    plain = answer.body["ticket"]
    row = StreamTicket.objects.get()
    assert (row.digest, row.api_key) == (tickets.digest(plain), ApiKey.objects.get())
    assert timedelta(seconds=25) < row.expires_at - timezone.now() <= timedelta(seconds=30)
    assert answer.body["url"] == f"ws://testserver/ws/tasks?ticket={plain}"
    assert api.post("stream/ticket/", {"ttl": 9}).pointers == [("/ttl", "unknown_field")]


def test_two_tickets_are_never_alike(api: Caller) -> None:
    member = ApiKey.objects.get().membership_id
    assert len({create_ticket(membership_id=member)[0] for _ in range(20)}) == 20


def test_the_demo_is_loaded_once_and_works(db: None, settings: Any) -> None:
    for _ in range(2):
        call_command("load_demo", verbosity=0)
    demo = Caller({"Authorization": f"Bearer {settings.DEMO_API_KEY}"})
    listed = demo.get("destinations/").body["results"]
    port = settings.SANDBOX_PORT
    assert [row["url"] for row in listed] == [
        f"http://127.0.0.1:{port}/post",
        f"http://127.0.0.1:{port}/flaky/30",
    ]
    row = Destination.objects.get(name="Echo")
    opened = open_secret(destination_id=row.pk, sealed=row.sealed_secret)
    assert opened == settings.DEMO_WEBHOOK_SECRET
    login = {"username": "demo", "password": "demo"}
    assert demo.client.post("/api/auth/login/", login).status_code == 302
    settings.SANDBOX_PORT = port + 1
    call_command("load_demo", verbosity=0)
    assert Destination.objects.get(name="Echo").url == f"http://127.0.0.1:{port + 1}/post"
    assert Destination.objects.count() == 2


def test_a_demo_that_was_deleted_is_made_anew_at_once(db: None, settings: Any) -> None:
    """Also while the earlier one is not erased yet, which has neither its name nor its key."""
    call_command("load_demo", verbosity=0)
    first = Workspace.objects.get()
    delete_workspace(workspace_id=first.pk, cause=factories.cause())
    for _ in range(2):
        call_command("load_demo", verbosity=0)
    demo = Caller({"Authorization": f"Bearer {settings.DEMO_API_KEY}"})
    assert len(demo.get("destinations/").body["results"]) == 2
    assert Workspace.objects.filter(slug="demo", deleted_at=None).exclude(pk=first.pk).exists()
    assert Destination.objects.in_workspace(first.pk).filter(deleted_at=None).count() == 0


def test_the_demo_is_refused_where_it_is_not_allowed(db: None, settings: Any) -> None:
    settings.DEMO_ALLOWED = False
    with pytest.raises(CommandError, match="DEMO_ALLOWED"):
        call_command("load_demo")
    assert not Workspace.objects.exists()
