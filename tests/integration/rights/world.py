"""Alice's workspace with one of everything in it, and everybody who might want at it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test import Client
from django.utils import timezone

from tasks_app.access import capabilities
from tasks_app.models import Delivery, Membership, Role, Scope, Workspace
from tests.support import factories
from tests.support.callers import Caller, api_key, caller

SECRET = "belongs-to-alice"  # in every text of hers, so that it would be seen anywhere


@dataclass(frozen=True, slots=True)
class Somebody:
    """Who asks, and what the one table of rights grants them."""

    name: str
    caller: Caller
    granted: frozenset[str]


@dataclass(frozen=True, slots=True)
class World:
    """Alice's workspace, and the id of one of each thing in it."""

    workspace: Workspace
    ids: Mapping[str, str]

    def fingerprint(self) -> dict[str, Any]:
        """Return what the database holds of hers, table by table."""
        return {table: _rows(table, self.workspace.pk) for table in _tables()}


def build() -> World:
    """Fill a workspace through the API, as its owner would."""
    workspace = factories.workspace(f"w-{SECRET}-{uuid.uuid4().hex[:8]}")
    owner = caller(workspace)
    target = {"name": SECRET, "url": f"http://127.0.0.1:9/{SECRET}"}
    destination = owner.post("destinations/", target).body["id"]
    task = owner.post("tasks/", {"title": SECRET, "external_id": SECRET}).body["id"]
    owner.post("tasks/", {"title": SECRET})
    waiting, dead = Delivery.objects.order_by("pk").values_list("pk", flat=True)
    Delivery.objects.filter(pk=dead).update(state="dead", ended_at=timezone.now())
    replay = owner.post(f"destinations/{destination}/replay/", {"from_seq": 1}).body["id"]
    hourly = {"name": SECRET, "cron": "@hourly", "template": {"title": SECRET}}
    schedule = owner.post("schedules/", hourly).body["id"]
    member = factories.member(workspace, name=f"{SECRET}-{uuid.uuid4().hex[:8]}")
    invited = {"email": f"{SECRET}@example.org"}
    file = f"title\n{SECRET}\n".encode()
    ids = {
        "workspace_id": str(workspace.pk),
        "member_id": str(member.pk),
        "api_key_id": str(api_key(member)[1].pk),
        "invitation_id": owner.post("invitations/", invited).body["id"],
        "schedule_id": schedule,
        "import_id": owner.call("POST", "imports/", raw=file, content_type="text/csv").body["id"],
        "task_id": task,
        "external_id": SECRET,
        "destination_id": destination,
        "delivery_id": str(waiting),
        "dead_delivery_id": str(dead),
        "replay_id": replay,
    }
    return World(workspace, ids)


def members(of: Workspace) -> list[Somebody]:
    """Return every role with a key of every scope, and with a login."""
    everybody = []
    for role in Role.values:
        member = factories.member(of, role=role)
        for scope in Scope.values:
            who = Caller({"Authorization": f"Bearer {api_key(member, scope)[0]}"})
            everybody.append(Somebody(f"{role} with {scope} key", who, _of(role, scope)))
        everybody.append(Somebody(f"{role} logged in", login(member), _of(role)))
    return everybody


def strangers(of: Workspace) -> dict[str, Caller]:
    """Return owners of other workspaces: by key, by key naming Alice's, and logged in."""
    member = Membership.objects.get(workspace=factories.workspace(), user__username="alice")
    mallory = factories.member(member.workspace, role=Role.OWNER)
    key = f"Bearer {api_key(mallory)[0]}"
    inside = login(mallory)
    inside.headers["X-Workspace"] = of.slug
    return {
        "key": Caller({"Authorization": key}),
        "key naming hers": Caller({"Authorization": key, "X-Workspace": of.slug}),
        "login naming hers": inside,
    }


def nobodies(of: Workspace) -> dict[str, Caller]:
    """Return credentials that open nothing, all once an owner's."""
    ended = {"expires_at": timezone.now() - timedelta(seconds=1)}
    revoked = {"revoked_at": timezone.now()}
    made = {
        "expired": _key(of, **ended),
        "revoked": _key(of, **revoked),
        "wrong": "ac_nobody_has_this",
    }
    disabled = factories.member(of, role=Role.OWNER)
    made["disabled"] = api_key(disabled)[0]
    disabled.user.is_active = False
    disabled.user.save()
    left = factories.member(of, role=Role.OWNER)
    made["removed"] = api_key(left)[0]
    left.delete()
    callers = {name: Caller({"Authorization": f"Bearer {key}"}) for name, key in made.items()}
    return {**callers, **_ended_sessions(of), "none": Caller()}


def _ended_sessions(of: Workspace) -> dict[str, Caller]:
    """Return owners whose browsers still send the cookie of a login that has ended."""
    owners = [factories.member(of, role=Role.OWNER) for _ in range(3)]
    expired, logged_out, disabled = (login(owner) for owner in owners)
    session = expired.client.session
    session.set_expiry(-1)
    session.save()
    cookie = logged_out.client.cookies["sessionid"].value
    logged_out.client.logout()
    logged_out.client.cookies["sessionid"] = cookie
    owners[2].user.is_active = False
    owners[2].user.save()
    for one in (expired, logged_out, disabled):
        one.headers["X-Workspace"] = of.slug
        assert one.client.cookies["sessionid"].value
    return {"session expired": expired, "logged out": logged_out, "login disabled": disabled}


def login(member: Membership) -> Caller:
    """Return a member who has logged in."""
    client = Client(raise_request_exception=False)
    client.force_login(member.user)
    return Caller({}, client)


def _of(role: str, scope: str | None = None) -> frozenset[str]:
    return frozenset(str(one) for one in capabilities(role, scope))


def _key(of: Workspace, **fields: Any) -> str:
    return api_key(factories.member(of, role=Role.OWNER), **fields)[0]


def _tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'workspace_id' ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def _rows(table: str, workspace_id: uuid.UUID) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t"
            " WHERE workspace_id = %s",
            [workspace_id],
        )
        return cursor.fetchone()
