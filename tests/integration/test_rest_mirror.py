"""The REST mirror: one twin a task, in its latest state, whatever gets lost on the way."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tasks_app.actions.delivery import retry_delivery
from tasks_app.actions.destination import ping_destination
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.models import Attempt, Delivery, Destination, Task, Twin, Workspace
from tests.support.engine import deliver, make_due, states, to, told
from tests.support.factories import cause
from tests.support.receiver import Exchange, closed_port
from tests.support.rest_server import Reply, RestServer, first, lost, rest_server
from tests.support.threads import in_thread

pytestmark = pytest.mark.django_db(transaction=True)


def mirror(workspace: Workspace, url: str, **fields: Any) -> Destination:
    """Return a destination that mirrors."""
    values = {"method": "PUT", "twin_id_path": "id", **fields}
    return to(workspace, url, name="mirror", kind="rest", **values)


def make(workspace: Workspace, title: str = "a") -> Task:
    """Return a new task."""
    return create_task(workspace_id=workspace.pk, fields={"title": title}, cause=cause())


def change(task: Task, title: str) -> None:
    """Change a task's title."""
    fields = {"title": title}
    update_task(workspace_id=task.workspace_id, task_id=task.pk, fields=fields, cause=cause())


def delete(task: Task) -> None:
    """Delete a task."""
    delete_task(workspace_id=task.workspace_id, task_id=task.pk, cause=cause())


def titles(server: RestServer) -> dict[str, str]:
    """Return each resource's title."""
    return {name: thing["title"] for name, thing in server.things.items()}


def details(of: Destination) -> list[str]:
    """Return what was noted of each attempt, in order."""
    return list(
        Attempt.objects.filter(delivery__destination=of)
        .order_by("delivery__sequence", "number")
        .values_list("detail", flat=True)
    )


def test_a_twin_is_created_changed_and_deleted_with_its_task(workspace: Workspace) -> None:
    with rest_server() as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace, "a")
        deliver()
        twin = Twin.objects.get(destination=to_it, task_id=task.pk)
        assert (twin.remote_id, twin.version, twin.first) == ("101", 1, "")
        change(task, "b")
        deliver()
        assert titles(there) == {"101": "b"}
        delete(task)
        deliver()
    assert there.lines == [
        ("POST", "/tasks", 201),
        ("PUT", "/tasks/101", 200),
        ("DELETE", "/tasks/101", 204),
    ]
    assert states(to_it) == ["succeeded"] * 3
    assert not Twin.objects.exists()
    created = there.asked[0].body
    assert created["id"] == str(task.pk)
    assert "sync" not in created
    assert told(workspace).count("task_synced") == 3


def test_a_change_by_patch_and_an_address_with_slash_and_query(workspace: Workspace) -> None:
    with rest_server() as there:
        mirror(workspace, f"{there.url}/?tenant=7", method="PATCH")
        task = make(workspace)
        deliver()
        change(task, "b")
        deliver()
    assert there.lines == [
        ("POST", "/tasks/?tenant=7", 201),
        ("PATCH", "/tasks/101/?tenant=7", 200),
    ]


def test_where_several_wait_the_first_brings_the_latest_state_and_the_others_nothing(
    workspace: Workspace,
) -> None:
    with rest_server() as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace, "a")
        change(task, "b")
        change(task, "c")
        deliver()
    assert [one.body["title"] for one in there.asked] == ["c"]
    assert states(to_it) == ["succeeded"] * 3
    assert details(to_it) == ["", *["The twin shows version 3 already."] * 2]


def test_a_task_deleted_before_anything_was_sent_never_gets_a_twin(workspace: Workspace) -> None:
    with rest_server() as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace)
        delete(task)
        deliver()
    assert there.asked == []
    assert states(to_it) == ["succeeded"] * 2
    assert details(to_it) == ["The task has been deleted since.", "There is no twin to delete."]


@pytest.mark.parametrize("strict", [True, False])
def test_a_lost_answer_to_a_create_makes_no_second_twin(workspace: Workspace, strict: bool) -> None:
    with rest_server(strict=strict, trouble=first(2, lost)) as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace, "a")
        deliver()
        assert states(to_it) == ["pending"]
        change(task, "b")  # a receiver that compares bodies must not be shown another one
        for _ in range(4):
            make_due()
            deliver()
    assert there.created == 1
    assert titles(there) == {"101": "b"}
    assert len({one.key for one in there.asked if one.method == "POST"}) == 1
    assert states(to_it) == ["succeeded"] * 2


def test_a_receiver_that_heeds_no_key_gets_a_second_one_and_the_last_is_kept(
    workspace: Workspace,
) -> None:
    """The limit that the page names; it also shows that the tests above lean on the key."""
    with rest_server(keys=False, trouble=first(1, lost)) as there:
        mirror(workspace, there.url)
        task = make(workspace, "a")
        deliver()
        make_due()
        deliver()
        change(task, "b")
        deliver()
    assert titles(there) == {"101": "a", "102": "b"}
    assert Twin.objects.get().remote_id == "102"


@pytest.mark.parametrize("strict", [True, False])
def test_a_change_after_a_create_that_died_in_doubt_repeats_it_with_its_key(
    workspace: Workspace, strict: bool
) -> None:
    with rest_server(strict=strict, trouble=first(1, lost)) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[])
        task = make(workspace, "a")
        deliver()
        assert states(to_it) == ["dead"]
        change(task, "b")
        deliver()
    assert there.created == 1
    assert [(one.method, one.body["title"]) for one in there.asked] == [
        ("POST", "a"),
        ("POST", "a"),
        ("PUT", "b"),
    ]
    assert there.asked[0].key == there.asked[1].key
    assert states(to_it) == ["dead", "succeeded"]
    # Its step is an attempt of its own, and not told as a failure.
    assert Delivery.objects.get(destination=to_it, sequence=2).attempts == 2
    assert told(workspace).count("task_sync_retrying") == 0


def test_deleting_a_task_whose_create_is_in_doubt_leaves_no_orphan(workspace: Workspace) -> None:
    with rest_server(trouble=first(1, lost)) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[])
        task = make(workspace)
        deliver()
        assert there.created == 1
        delete(task)
        deliver()
    assert there.things == {}
    assert [one.method for one in there.asked] == ["POST", "POST", "DELETE"]
    assert states(to_it) == ["dead", "succeeded"]
    assert not Twin.objects.exists()


def test_a_refused_create_is_not_in_doubt_and_the_next_has_a_new_key(workspace: Workspace) -> None:
    def no_a(method: str, body: Any) -> int:
        return 400 if body["title"] == "a" else 0

    with rest_server(refuse=no_a) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[])
        task = make(workspace, "a")
        deliver()
        change(task, "b")
        deliver()
    assert states(to_it) == ["dead", "succeeded"]
    assert [one.body["title"] for one in there.asked] == ["a", "b"]
    assert there.asked[0].key != there.asked[1].key


def test_a_create_that_never_left_is_not_in_doubt(workspace: Workspace) -> None:
    to_it = mirror(workspace, f"http://127.0.0.1:{closed_port()}/tasks", retry_schedule=[])
    task = make(workspace, "a")
    deliver()
    assert states(to_it) == ["dead"]
    with rest_server() as there:
        Destination.objects.filter(pk=to_it.pk).update(url=there.url)
        change(task, "b")
        deliver()
    assert [(one.method, one.body["title"]) for one in there.asked] == [("POST", "b")]


def test_a_state_that_breaks_the_receiver_does_not_stand_in_the_way_of_the_next(
    workspace: Workspace,
) -> None:
    """After 500 there may be a twin: the key stays, and every other try has the new state."""

    def breaks(method: str, body: Any) -> int:
        return 500 if body["title"] == "a" else 0

    with rest_server(refuse=breaks) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[1] * 10)
        task = make(workspace, "a")
        deliver()
        change(task, "b")
        for _ in range(3):
            make_due()
            deliver()
    assert states(to_it) == ["succeeded"] * 2
    assert titles(there) == {"101": "b"}
    assert len({one.key for one in there.asked if one.method == "POST"}) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_a_twin_that_is_gone_is_created_anew_with_a_new_key(
    workspace: Workspace, status: int
) -> None:
    async def gone(exchange: Exchange, reply: Reply) -> bool:
        if reply.status == 404:
            reply.status = status
        return True

    with rest_server(trouble=gone) as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace, "a")
        deliver()
        there.things.clear()
        change(task, "b")
        deliver()
    assert titles(there) == {"102": "b"}
    assert [one.status for one in there.asked] == [201, status, 201]
    assert there.asked[0].key != there.asked[2].key
    assert states(to_it) == ["succeeded"] * 2
    to_it.refresh_from_db()
    assert to_it.state == "active"
    assert Twin.objects.get().remote_id == "102"


@pytest.mark.parametrize("status", [404, 410])
def test_deleting_what_is_gone_is_done_and_pauses_nothing(
    workspace: Workspace, status: int
) -> None:
    async def gone(exchange: Exchange, reply: Reply) -> bool:
        if reply.status == 404:
            reply.status = status
        return True

    with rest_server(trouble=gone) as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace)
        deliver()
        there.things.clear()
        delete(task)
        deliver()
    assert states(to_it) == ["succeeded"] * 2
    to_it.refresh_from_db()
    assert to_it.state == "active"


def test_a_410_to_a_create_pauses(workspace: Workspace) -> None:
    with rest_server(refuse=lambda method, body: 410) as there:
        to_it = mirror(workspace, there.url)
        make(workspace)
        deliver()
    to_it.refresh_from_db()
    assert to_it.state == "auto_paused"


@pytest.mark.parametrize(
    ("wrap", "path", "prefix"),
    [
        (lambda name, thing: {"data": {"key": name}}, "data.key", "T-"),
        (lambda name, thing: {"id": int(name)}, "id", ""),
        (lambda name, thing: [{"id": name}], "[0].id", "ä/b ?#"),
    ],
)
def test_the_id_is_read_from_where_the_destination_says(
    workspace: Workspace, wrap: Any, path: str, prefix: str
) -> None:
    with rest_server(wrap=wrap, prefix=prefix) as there:
        mirror(workspace, there.url, twin_id_path=path)
        task = make(workspace)
        deliver()
        change(task, "b")
        deliver()
    assert Twin.objects.get().remote_id == f"{prefix}101"
    assert there.asked[1].path == f"/tasks/{quote(prefix, safe='')}101"
    assert titles(there) == {f"{prefix}101": "b"}


@pytest.mark.parametrize(
    "answer",
    [{}, {"id": None}, {"id": True}, {"id": ""}, {"id": ".."}, {"id": "x" * 201}, {"id": ["1"]}],
)
def test_an_answer_without_an_id_is_the_destination_s_failure(
    workspace: Workspace, answer: Any
) -> None:
    with rest_server(wrap=lambda name, thing: answer) as there:
        to_it = mirror(workspace, there.url)
        make(workspace)
        deliver()
        there.wrap = lambda name, thing: {"id": name}
        delivery = Delivery.objects.get(destination=to_it)
        assert (delivery.state, delivery.error) == ("pending", "twin_id_missing")
    assert Twin.objects.get().remote_id == ""


def test_a_lost_answer_to_a_change_sends_the_state_again(workspace: Workspace) -> None:
    with rest_server() as there:
        to_it = mirror(workspace, there.url)
        task = make(workspace, "a")
        deliver()
        there.trouble = first(1, lost)
        change(task, "b")
        deliver()
        make_due()
        deliver()
    assert titles(there) == {"101": "b"}
    assert states(to_it) == ["succeeded"] * 2


def test_a_retry_by_hand_sends_the_state_as_it_is_now(workspace: Workspace) -> None:
    with rest_server(refuse=lambda method, body: 400 if method == "PUT" else 0) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[])
        task = make(workspace, "a")
        deliver()
        change(task, "b")
        deliver()
        assert states(to_it) == ["succeeded", "dead"]
        there.refuse = None
        change(task, "c")
        deliver()
        dead = Delivery.objects.get(destination=to_it, state="dead")
        retry_delivery(workspace_id=workspace.pk, delivery_id=dead.pk, cause=cause())
        there.things["101"] = {"title": "spoilt"}
        deliver()
    assert titles(there) == {"101": "c"}
    assert states(to_it) == ["succeeded"] * 3


def test_a_ping_looks_and_writes_nothing(workspace: Workspace) -> None:
    with rest_server() as there:
        to_it = mirror(workspace, there.url)
        ping_destination(workspace_id=workspace.pk, destination_id=to_it.pk, cause=cause())
        deliver()
    assert there.lines == [("GET", "/tasks", 200)]
    assert states(to_it) == ["succeeded"]
    assert not Twin.objects.exists()


def test_twins_of_two_mirrors_and_of_many_tasks_do_not_mix(workspace: Workspace) -> None:
    with rest_server() as one, rest_server() as two:
        mirror(workspace, one.url)
        to(workspace, two.url, name="two", kind="rest", method="PUT", twin_id_path="id")
        tasks = [make(workspace, str(n)) for n in range(20)]
        deliver()
        for n, task in enumerate(tasks):
            change(task, f"new {n}")
        deliver()
    for there in (one, two):
        assert there.created == 20
        assert sorted(titles(there).values()) == sorted(f"new {n}" for n in range(20))
    assert Twin.objects.count() == 40


def test_a_mapping_makes_what_a_twin_is_made_of(workspace: Workspace) -> None:
    with rest_server() as there:
        mapping = "{title: task.title, open: task.status == 'open'}"
        to_it = mirror(workspace, there.url, mapping=mapping)
        make(workspace, "a")
        deliver()
        assert there.asked[0].body == {"title": "a", "open": True}
        Destination.objects.filter(pk=to_it.pk).update(mapping="task.nothing")
        make(workspace, "b")
        deliver()
        broken = Delivery.objects.get(destination=to_it, sequence=2)
        assert (broken.state, broken.error, broken.failures) == ("pending", "mapping_failed", 0)
        Destination.objects.filter(pk=to_it.pk).update(mapping="{title: task.title}")
        make_due()
        deliver()
    assert [one.body["title"] for one in there.asked] == ["a", "b"]
    assert states(to_it) == ["succeeded"] * 2


def test_a_stale_worker_writes_no_twin(workspace: Workspace) -> None:
    """Whoever slept past its lease has nothing to say about the twin either."""
    known: list[str] = []

    async def somebody_takes_it_over(exchange: Exchange, reply: Reply) -> bool:
        await asyncio.wrap_future(in_thread(lambda: known.append(_take_the_lease_away())))
        return len(known) < 3 or await lost(exchange, reply)

    with rest_server(trouble=somebody_takes_it_over) as there:
        to_it = mirror(workspace, there.url, retry_schedule=[])
        make(workspace)
        deliver()
    assert known == ["", "", ""]
    assert there.created == 1
    assert states(to_it) == ["dead"]


def _take_the_lease_away() -> str:
    """Give the delivery back as a sweep would, twice; return the twin as it is known then."""
    if len(Delivery.objects.filter(state="leased", leases__lt=3)):
        Delivery.objects.update(state="pending", claim_id=None, leased_by="", lease_expires_at=None)
    return Twin.objects.get().remote_id
