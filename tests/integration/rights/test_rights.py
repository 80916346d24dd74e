"""Every route x everybody: what each is answered follows from the roles, and from nothing else."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from rest_framework.permissions import AllowAny

from tasks_app.api.task import TaskView
from tasks_app.api.workspace_view import WorkspaceView
from tasks_app.models.task import TaskQuerySet
from tests.integration.rights import table, world
from tests.integration.rights.table import ROWS, Row
from tests.integration.rights.world import SECRET, World
from tests.support import factories
from tests.support.callers import Answer, Caller
from tests.support.routes import Route, api_routes, other_paths

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(180)]
Wrong = list[str]
Judge = Callable[[Route, Row], Wrong]


@pytest.fixture
def alices(db: None) -> World:
    return world.build()


@contextmanager
def undone() -> Iterator[None]:
    """Let nothing of a call stay, so that the next one finds the same world."""
    here = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(here)


def ask(who: Caller, route: Route, row: Row, alices: World) -> Answer:
    """Ask for what is Alice's."""
    named = {name: alices.ids[row.ids.get(name, name)] for name in route.names}
    body = json.dumps(row.body)
    for name, value in alices.ids.items():
        body = body.replace(f"{{{name}}}", value)
    address = route.path.format(**named) + row.query
    return who.call(route.method, address, json.loads(body), raw=row.raw, content_type=row.kind)


def walk(judge: Judge) -> Wrong:
    """Put every route before a judge; return all complaints."""
    known = [route for route in api_routes() if str(route) in ROWS]  # the others fail above
    return [wrong for route in known for wrong in judge(route, ROWS[str(route)])]


def test_every_route_is_in_the_table_and_declares_what_the_table_says() -> None:
    declared = {
        str(route): getattr(route.view, "capabilities", {}).get(route.action)
        for route in api_routes()
    }
    assert declared == {route: row.needs for route, row in ROWS.items()}


def of_members(alices: World) -> Judge:
    """Return what holds a route against the table of rights, for every role and scope."""
    everybody = world.members(alices.workspace)

    def judge(route: Route, row: Row) -> Wrong:
        wrong = []
        before = alices.fingerprint()
        for who in sorted(everybody, key=lambda who: row.answers_to(who.granted) == row.answers):
            expected = row.answers_to(who.granted)
            with undone() if expected == row.answers else nullcontext():
                answer = ask(who.caller, route, row, alices)
            if answer.status != expected:
                wrong.append(f"{route}: {who.name}: {answer.status}, not {expected}")
        return wrong + ([f"{route}: changed"] if alices.fingerprint() != before else [])

    return judge


def of_strangers(alices: World) -> Judge:
    """Return what asks a route as owners of other workspaces do."""
    others = world.strangers(alices.workspace)

    def judge(route: Route, row: Row) -> Wrong:
        wrong = []
        before = alices.fingerprint()
        for name, who in others.items():
            known = row.stranger or (404 if route.names else row.answers)
            expected = 404 if name.startswith("login") else known
            with undone():
                answer = ask(who, route, row, alices)
                if answer.status != expected:
                    wrong.append(f"{route}: {name}: {answer.status}, not {expected}")
                if expected != 404 and tells(answer, alices, route):
                    wrong.append(f"{route}: {name}: shows what is not theirs")
                if alices.fingerprint() != before:
                    wrong.append(f"{route}: {name}: has changed something")
        return wrong

    return judge


def of_nobodies(alices: World) -> Judge:
    """Return what asks a route with credentials that have ended."""
    everybody = world.nobodies(alices.workspace)

    def judge(route: Route, row: Row) -> Wrong:
        before = alices.fingerprint()
        answers = {name: ask(who, route, row, alices) for name, who in everybody.items()}
        wrong = [f"{route}: {name}: {a.status}" for name, a in answers.items() if a.status != 401]
        wrong += [
            f"{route}: {name}: no challenge"
            for name, a in answers.items()
            if not a.headers.get("WWW-Authenticate", "").startswith('Bearer realm="aftercommit"')
        ]
        return wrong + ([f"{route}: changed"] if alices.fingerprint() != before else [])

    return judge


def test_every_role_and_scope_may_do_what_the_table_of_rights_grants(alices: World) -> None:
    assert walk(of_members(alices)) == []


def test_nothing_of_one_workspace_is_seen_or_touched_from_another(alices: World) -> None:
    assert walk(of_strangers(alices)) == []


def test_credentials_that_have_ended_open_nothing(alices: World) -> None:
    assert walk(of_nobodies(alices)) == []


BROKEN: list[tuple[Callable[[World], Judge], str, tuple[Any, str, Any]]] = [
    (of_members, "DELETE tasks/{task_id}/", (TaskView, "capabilities", {"destroy": "read"})),
    (of_members, "GET tasks/", (TaskView, "capabilities", {})),
    (of_members, "DELETE tasks/{task_id}/", (TaskView, "permission_classes", [AllowAny])),
    (of_strangers, "GET tasks/{task_id}/", (TaskQuerySet, "in_workspace", lambda self, _: self)),
    (of_strangers, "GET tasks/", (TaskQuerySet, "in_workspace", lambda self, _: self)),
    (of_nobodies, "GET events/", (WorkspaceView, "permission_classes", [AllowAny])),
]


@pytest.mark.parametrize(("judge", "asked", "broken"), BROKEN)
def test_the_walk_sees_a_check_that_is_missing(
    alices: World,
    monkeypatch: pytest.MonkeyPatch,
    judge: Callable[[World], Judge],
    asked: str,
    broken: tuple[Any, str, Any],
) -> None:
    """Or it would prove nothing: with the check it is content, and without it it is not."""
    [route] = [route for route in api_routes() if str(route) == asked]
    judged = judge(alices)
    assert judged(route, ROWS[asked]) == []
    monkeypatch.setattr(*broken)
    assert judged(route, ROWS[asked]) != []


def tells(answer: Answer, alices: World, route: Route) -> bool:
    """Tell whether something of Alice's is in an answer, but for what the caller named."""
    hers = {SECRET, *alices.ids.values()} - {alices.ids[name] for name in route.names}
    shown = answer.raw.decode() + str(answer.headers)
    return any(one in shown for one in hers)


def test_what_is_another_s_looks_like_what_does_not_exist(alices: World) -> None:
    """Or an id could be guessed by the difference."""
    stranger = world.strangers(alices.workspace)["key"]
    none = World(alices.workspace, {name: "0" * 8 + id_[8:] for name, id_ in alices.ids.items()})

    def judge(route: Route, row: Row) -> Wrong:
        with undone():
            theirs = ask(stranger, route, row, alices)
            nobodys = ask(stranger, route, row, none)
        if theirs.status < 400:
            return []
        told = theirs.raw.decode()
        for name, hers in alices.ids.items():
            told = told.replace(hers, none.ids[name])
        return [] if told == nobodys.raw.decode() else [f"{route}: differs"]

    assert walk(judge) == []


def test_every_address_beside_the_api_is_known_and_the_admin_s_are_closed(db: None) -> None:
    beside = other_paths()
    assert {path for path in beside if not path.startswith(table.ADMIN)} == set(table.BESIDE)
    member = Client(raise_request_exception=False)
    member.force_login(factories.user("alice"))
    for path in sorted(beside):
        if path.startswith(table.ADMIN):
            for client in (Client(), member):
                closed = client.get("/" + path.replace("{", "").replace("}", ""))
                assert SECRET not in closed.content.decode()
                assert closed.status_code in {302, 404} or path == "admin/login/", path
