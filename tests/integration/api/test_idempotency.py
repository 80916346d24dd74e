"""A request with an `Idempotency-Key` happens once; its repeat gets the first answer's bytes."""

from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from tasks_app.actions.idempotency import Answer as Kept
from tasks_app.actions.idempotency import Claim, answer_once
from tasks_app.actions.task import create_task
from tasks_app.models import Destination, IdempotencyKey, Membership, StreamTicket, Task, Workspace
from tests.support import factories
from tests.support.callers import Answer, Caller, api_key, caller
from tests.support.key_rings import keys, new_key

pytestmark = pytest.mark.django_db

KEPT = ("Content-Type", "ETag", "Location", "Stream-Cursor")


def same(first: Answer, second: Answer) -> bool:
    return (first.status, first.raw) == (second.status, second.raw) and all(
        first.headers.get(name) == second.headers.get(name) for name in KEPT
    )


def test_a_repeat_gets_the_same_bytes_and_writes_nothing(api: Caller, workspace: Workspace) -> None:
    factories.destination(workspace)
    first = api.post("tasks/", {"title": "ü", "labels": ["a"]}, Idempotency_Key="k-1")
    assert (first.status, "Idempotent-Replayed" in first.headers) == (201, False)
    api.patch(f"tasks/{first.body['id']}/", {"title": "changed since"})
    again = api.post("tasks/", {"title": "ü", "labels": ["a"]}, Idempotency_Key="k-1")
    assert same(first, again)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["X-Request-ID"] != again.headers["X-Request-ID"]
    assert Task.objects.count() == 1
    assert [event.type for event in factories.log(workspace)] == ["task_created", "task_updated"]


def test_members_in_another_order_are_the_same_request(api: Caller) -> None:
    first = api.post("tasks/", {"title": "t", "status": "done"}, Idempotency_Key="k")
    again = api.post("tasks/", {"status": "done", "title": "t"}, Idempotency_Key="k")
    assert same(first, again)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "tasks/", {"title": "other"}),
        ("POST", "tasks/", {"title": "t", "priority": "high"}),
        ("POST", "stream/ticket/", {}),
        ("PUT", "tasks/by-external-id/a/", {"title": "t"}),
    ],
)
def test_a_key_that_stands_for_another_request_is_refused(
    api: Caller, method: str, path: str, body: Any
) -> None:
    assert api.post("tasks/", {"title": "t"}, Idempotency_Key="k").status == 201
    other = api.call(method, path, body, headers={"Idempotency-Key": "k"})
    assert (other.status, other.body["type"]) == (422, "/problems/idempotency_key_reused")
    assert Task.objects.count() == 1
    assert not StreamTicket.objects.exists()


@pytest.mark.parametrize(
    "key", ["", " ", '""', "k" * 256, f'"{"k" * 256}"', "a\tb", "ü", "\x7f", '"a', '"a";v=1']
)
def test_a_malformed_key_is_a_bad_request_and_writes_nothing(api: Caller, key: str) -> None:
    assert api.post("tasks/", {"title": "t"}, Idempotency_Key=key).status == 400
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("key", "same_key"),
    [("k" * 255, f'"{"k" * 255}"'), ("a b", '"a b"'), ('a"b', r'"a\"b"'), ("a", " a ")],
)
def test_a_key_may_be_quoted_as_structured_fields_are(api: Caller, key: str, same_key: str) -> None:
    first = api.post("tasks/", {"title": "t"}, Idempotency_Key=key)
    assert same(first, api.post("tasks/", {"title": "t"}, Idempotency_Key=same_key))
    assert Task.objects.count() == 1


def test_keys_of_other_owners_and_other_workspaces_are_others(
    api: Caller, workspace: Workspace
) -> None:
    member = Membership.objects.get(workspace=workspace, user__username="alice")
    second_key = Caller({"Authorization": f"Bearer {api_key(member)[0]}"})
    elsewhere = caller(factories.workspace())
    session = Caller()
    session.client.force_login(member.user)
    session.headers["X-Workspace"] = workspace.slug
    for who in (api, second_key, elsewhere, session):
        answer = who.post("tasks/", {"title": "t"}, Idempotency_Key="k")
        assert (answer.status, answer.headers.get("Idempotent-Replayed")) == (201, None)
    assert Task.objects.count() == 4
    assert session.post("tasks/", {"title": "t"}, Idempotency_Key="k").headers[
        "Idempotent-Replayed"
    ]


def test_one_user_s_key_in_two_workspaces_is_two(workspace: Workspace) -> None:
    second = factories.workspace()
    session = Caller()
    session.client.force_login(factories.user("alice"))
    for of in (workspace, second, workspace):
        session.post("tasks/", {"title": "t"}, Idempotency_Key="k", X_Workspace=of.slug)
    assert list(Task.objects.order_by("id").values_list("workspace", flat=True)) == [
        workspace.pk,
        second.pk,
    ]


def test_a_refusal_is_not_kept_so_a_mended_request_may_use_the_key(api: Caller) -> None:
    assert api.post("tasks/", {"title": ""}, Idempotency_Key="k").status == 400
    assert api.post("tasks/", {"title": "t"}, Idempotency_Key="k").status == 201
    taken = {"title": "t", "external_id": "E"}
    api.post("tasks/", taken)
    assert api.post("tasks/", taken, Idempotency_Key="k2").pointers == [("/external_id", "unique")]
    api.call("DELETE", f"tasks/{Task.objects.get(external_id='E').pk}/")
    assert api.post("tasks/", taken, Idempotency_Key="k2").status == 201


def test_changes_and_deletions_honour_the_key_too(api: Caller) -> None:
    at = f"tasks/{api.post('tasks/', {'title': 't'}).body['id']}/"
    once: dict[str, Any] = {"If_Match": '"1"', "Idempotency_Key": "change"}
    first = api.patch(at, {"title": "u"}, **once)
    assert same(first, api.patch(at, {"title": "u"}, **once))  # without the key: 412
    gone = api.delete(at, Idempotency_Key="gone")
    again = api.delete(at, Idempotency_Key="gone")  # without the key: 404
    assert (gone.status, again.status, again.raw) == (204, 204, b"")
    assert "Content-Type" not in again.headers
    assert api.get(at, Idempotency_Key="gone").status == 404


def test_a_repeat_needs_the_right_that_the_first_had(api: Caller, workspace: Workspace) -> None:
    member = factories.member(workspace)
    theirs = Caller({"Authorization": f"Bearer {api_key(member)[0]}"})
    assert theirs.post("tasks/", {"title": "t"}, Idempotency_Key="k").status == 201
    member.role = "viewer"
    member.save()
    assert theirs.post("tasks/", {"title": "t"}, Idempotency_Key="k").status == 403


def test_an_answer_that_shows_a_secret_is_kept_nowhere_and_its_repeat_does_nothing(
    api: Caller,
) -> None:
    new = {"name": "CRM", "url": "https://crm.example.org/"}
    made = api.post("destinations/", new, Idempotency_Key="make")
    assert made.body["secret"]
    again = api.post("destinations/", new, Idempotency_Key="make")
    assert (again.status, again.body["type"]) == (409, "/problems/secret_shown_once")
    assert again.headers["Location"] == made.headers["Location"]
    assert Destination.objects.count() == 1

    rotate = f"destinations/{made.body['id']}/rotate-secret/"
    secret = api.post(rotate, Idempotency_Key="rotate").body["secret"]
    sealed = Destination.objects.get().sealed_secret
    assert api.post(rotate, Idempotency_Key="rotate").status == 409
    assert Destination.objects.get().sealed_secret == sealed

    ticket = api.post("stream/ticket/", Idempotency_Key="ticket").body["ticket"]
    assert api.post("stream/ticket/", Idempotency_Key="ticket").status == 409
    assert StreamTicket.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(k::text, ' '), count(*) FROM idempotency_key k")
        text, rows = cursor.fetchone()
    assert rows == 3
    for shown in (made.body["secret"], secret, ticket):
        assert shown not in text
        assert shown.encode().hex() not in text


def kept_text() -> str:
    """Return all that is kept of answers, as whoever reads the table would see it."""
    rows = IdempotencyKey.objects.values_list("headers", "body")
    return " ".join(f"{headers} {bytes(body or b'')!r}" for headers, body in rows)


def test_what_is_sealed_of_a_destination_is_kept_sealed_and_a_repeat_still_shows_it(
    api: Caller,
) -> None:
    new = {"name": "CRM", "url": "https://crm.example.org/", "headers": {"X-Tenant": "s3aled"}}
    at = f"destinations/{api.post('destinations/', new).body['id']}/"
    for verb, path, body in (
        ("PATCH", at, {"name": "ERP"}),
        ("POST", f"{at}pause/", None),
        ("POST", f"{at}resume/", None),
    ):
        once = {"Idempotency-Key": path + verb}
        first = api.call(verb, path, body, headers=once)
        assert first.body["headers"] == {"X-Tenant": "s3aled"}
        again = api.call(verb, path, body, headers=once)
        assert (again.raw, again.headers["Idempotent-Replayed"]) == (first.raw, "true")
    assert "s3aled" not in kept_text()
    assert IdempotencyKey.objects.count() == 3


def test_an_answer_opens_for_its_own_request_only_and_with_its_own_key(
    api: Caller, settings: Settings
) -> None:
    first = api.post("tasks/", {"title": "t"}, Idempotency_Key="one")
    api.post("tasks/", {"title": "t"}, Idempotency_Key="two")
    with keys(settings, new_key("new"), *settings.ENCRYPTION_KEYS):
        assert api.post("tasks/", {"title": "t"}, Idempotency_Key="one").raw == first.raw
    with keys(settings, new_key("new")):  # the old one is gone: done, but not to be told again
        again = api.post("tasks/", {"title": "t"}, Idempotency_Key="one")
        assert (again.status, again.body["type"]) == (409, "/problems/secret_shown_once")
        assert again.headers["Location"] == first.headers["Location"]
    moved = IdempotencyKey.objects.get(key="two")
    IdempotencyKey.objects.filter(key="one").update(body=moved.body)
    assert api.post("tasks/", {"title": "t"}, Idempotency_Key="one").status == 409
    assert Task.objects.count() == 2


def test_a_workspace_made_by_somebody_logged_in_is_made_once(workspace: Workspace) -> None:
    session = Caller({"X-Workspace": workspace.slug})
    session.client.force_login(factories.user("alice"))
    new = {"slug": "once", "name": "Once"}
    first = session.post("workspaces/", new, Idempotency_Key="k")
    again = session.post("workspaces/", new, Idempotency_Key="k")
    assert (first.status, same(first, again)) == (201, True)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Workspace.objects.filter(slug="once").count() == 1


def test_a_day_later_by_the_database_s_clock_the_key_stands_for_a_new_request(api: Caller) -> None:
    api.post("tasks/", {"title": "t"}, Idempotency_Key="k")
    (kept,) = IdempotencyKey.objects.all()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT expires_at - now() BETWEEN interval '23:59' AND interval '24:01'"
            " FROM idempotency_key"
        )
        assert cursor.fetchone()[0]
        cursor.execute("UPDATE idempotency_key SET expires_at = statement_timestamp()")
    second = api.post("tasks/", {"title": "other"}, Idempotency_Key="k")
    assert (second.status, Task.objects.count()) == (201, 2)
    assert same(second, api.post("tasks/", {"title": "other"}, Idempotency_Key="k"))
    assert IdempotencyKey.objects.get().pk == kept.pk


def test_what_is_rolled_back_leaves_no_answer(workspace: Workspace) -> None:
    claim = Claim(workspace_id=workspace.pk, owner="user:1", key="k", fingerprint=b"f" * 32)

    def write() -> Kept:
        create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
        return Kept(status=201, headers={}, body=b"{}")

    def fail() -> Kept:
        write()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answer_once(claim=claim, work=fail)
    assert not Task.objects.exists()
    assert answer_once(claim=claim, work=write) is None
    assert answer_once(claim=claim, work=fail) == Kept(status=201, headers={}, body=b"{}")
    assert Task.objects.count() == 1
