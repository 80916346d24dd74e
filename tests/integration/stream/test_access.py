"""Who may follow: the ways to say who one is, origins, and access that ends."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.contrib.auth.models import User
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from tasks_app.actions.account import change_password, disable_user
from tasks_app.actions.api_key import revoke_key
from tasks_app.actions.member import change_role, remove_member
from tasks_app.actions.session_store import SessionStore
from tasks_app.actions.stream_ticket import create_ticket
from tasks_app.actions.workspace import create_workspace, delete_workspace
from tasks_app.models import ApiKey, Membership, Role, StreamTicket
from tests.integration.stream.conftest import FRIEND
from tests.support.admin_pages import logged_in
from tests.support.factories import cause
from tests.support.stream_client import bearer, close_of, events_from, next_frame, socket_to
from tests.support.stream_process import StreamProcess
from tests.support.stream_world import Member, new_member, new_session


def cookie(key: str) -> dict[str, str]:
    return {"Cookie": f"sessionid={key}"}


def assert_pong(socket: ClientConnection) -> None:
    """Check that the stream goes on; it may tell of what has happened first."""
    while (frame := next_frame(socket))["type"] != "pong":
        assert frame["seq"]


def own(stream: StreamProcess) -> str:
    return stream.url


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer ac_wrong"}, {"Authorization": "Basic x"}]
)
def test_bad_or_missing_credentials_are_accepted_and_closed_with_4501(
    stream: StreamProcess, member: Member, headers: dict[str, str]
) -> None:
    with socket_to(stream, headers=headers) as socket:
        assert close_of(socket)[0] == 4501
    answer = httpx.get(f"{stream.url}/api/v1/events/stream", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["status"] == 401


def test_a_wrong_header_is_not_forgiven_for_a_good_cookie(
    stream: StreamProcess, member: Member
) -> None:
    headers = cookie(new_session(member.user)) | bearer("ac_wrong")
    with socket_to(stream, headers=headers, origin=own(stream)) as socket:
        assert close_of(socket)[0] == 4501


def test_a_ticket_opens_one_stream_once(stream: StreamProcess, member: Member) -> None:
    ticket, _ = create_ticket(membership_id=member.membership.pk, api_key_id=member.api_key.pk)
    with socket_to(stream, f"ticket={ticket}") as socket:
        assert next_frame(socket)["workspace"] == member.workspace.slug
    with socket_to(stream, f"ticket={ticket}") as socket:
        assert close_of(socket)[0] == 4501
    assert ticket not in stream.log.read_text()


def test_an_old_ticket_or_one_of_a_dead_key_opens_nothing(
    stream: StreamProcess, member: Member
) -> None:
    late, _ = create_ticket(membership_id=member.membership.pk)
    StreamTicket.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    orphan, _ = create_ticket(membership_id=member.membership.pk, api_key_id=member.api_key.pk)
    revoke_key(workspace_id=member.workspace.pk, api_key_id=member.api_key.pk, cause=cause())
    for ticket in (late, orphan):
        with socket_to(stream, f"ticket={ticket}") as socket:
            assert close_of(socket)[0] == 4501


@pytest.mark.parametrize("origin", ["own", FRIEND])
def test_a_session_follows_from_an_allowed_page(
    stream: StreamProcess, member: Member, origin: str
) -> None:
    headers = cookie(new_session(member.user))
    page = own(stream) if origin == "own" else origin
    with socket_to(stream, headers=headers, origin=page) as socket:
        assert next_frame(socket)["workspace"] == member.workspace.slug
    with events_from(stream, headers=headers) as events:  # same-origin GETs carry no Origin
        assert next(events).frame["type"] == "welcome"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_is_refused_at_the_handshake_whatever_it_shows(
    stream: StreamProcess, member: Member, origin: str
) -> None:
    for headers in (cookie(new_session(member.user)), bearer(member.key)):
        with (
            pytest.raises(InvalidStatus) as refused,
            socket_to(stream, headers=headers, origin=origin),
        ):
            pass
        assert refused.value.response.status_code in {400, 403}  # Autobahn says 400 to null
        url = f"{stream.url}/api/v1/events/stream"
        assert httpx.get(url, headers=headers | {"Origin": origin}).status_code == 403


def test_a_cookie_without_an_origin_is_refused(stream: StreamProcess, member: Member) -> None:
    with (
        pytest.raises(InvalidStatus),
        socket_to(stream, headers=cookie(new_session(member.user))),
    ):
        pass


def test_a_session_in_several_workspaces_must_name_one_of_its_own(
    stream: StreamProcess, member: Member
) -> None:
    second = create_workspace(slug=f"{member.workspace.slug}-2", name="2", owner=member.user)
    stranger = new_member()
    headers = cookie(new_session(member.user))
    for query, code in [("", 4503), (f"workspace={stranger.workspace.slug}", 4503)]:
        with socket_to(stream, query, headers=headers, origin=own(stream)) as socket:
            assert close_of(socket)[0] == code
        url = f"{stream.url}/api/v1/events/stream?{query}"
        assert httpx.get(url, headers=headers).status_code == 404
    query = f"workspace={second.slug}"
    with socket_to(stream, query, headers=headers, origin=own(stream)) as socket:
        assert next_frame(socket)["workspace"] == second.slug


def test_what_no_row_can_hold_is_unknown_and_not_a_reason_to_come_back(
    stream: StreamProcess, member: Member
) -> None:
    good = cookie(new_session(member.user))
    for headers, query, code in (
        (cookie('"aaaaaaaa\\000b"'), "", 4501),
        (good, "workspace=%00", 4503),
    ):
        with socket_to(stream, query, headers=headers, origin=own(stream)) as socket:
            assert close_of(socket)[0] == code


def _revoke(member: Member, session: str) -> None:
    revoke_key(workspace_id=member.workspace.pk, api_key_id=member.api_key.pk, cause=cause())


def _remove(member: Member, session: str) -> None:
    new_member(member.workspace, role=Role.OWNER)
    remove_member(
        workspace_id=member.workspace.pk, membership_id=member.membership.pk, cause=cause()
    )


def _disable(member: Member, session: str) -> None:
    disable_user(user_id=member.user.pk)


def _log_out(member: Member, session: str) -> None:
    SessionStore(session).flush()


@pytest.mark.parametrize("ending", [_revoke, _remove, _disable, _log_out])
def test_access_that_ends_closes_its_streams_with_4502(
    stream: StreamProcess, member: Member, ending: object
) -> None:
    session = new_session(member.user)
    by_session = ending is _log_out
    headers = cookie(session) if by_session else bearer(member.key)
    origin = own(stream) if by_session else None
    staying = new_member(member.workspace)
    with (
        socket_to(stream, headers=headers, origin=origin) as socket,
        socket_to(stream, headers=bearer(staying.key)) as other,
        events_from(stream, headers=headers) as events,
    ):
        next_frame(socket), next_frame(other), next(events)
        ending(member, session)  # type: ignore[operator]
        assert close_of(socket, 4)[0] == 4502
        bye = [event for event in events if event.data][-1]
        assert (bye.name, bye.frame["code"]) == ("bye", 4502)
        other.send('{"type": "ping"}')
        assert_pong(other)


def test_a_deleted_workspace_closes_its_streams_with_4503(
    stream: StreamProcess, member: Member
) -> None:
    staying = new_member()
    with (
        socket_to(stream, headers=bearer(member.key)) as socket,
        socket_to(stream, headers=bearer(staying.key)) as other,
        events_from(stream, headers=bearer(member.key)) as events,
    ):
        next_frame(socket), next_frame(other), next(events)
        delete_workspace(workspace_id=member.workspace.pk, cause=cause())
        assert close_of(socket, 4)[0] == 4503
        bye = [event for event in events if event.data][-1]
        assert (bye.name, bye.frame["code"]) == ("bye", 4503)
        other.send('{"type": "ping"}')
        assert_pong(other)


def test_a_new_password_closes_streams_of_old_logins_at_once(
    stream: StreamProcess, member: Member
) -> None:
    headers = cookie(new_session(member.user))
    with socket_to(stream, headers=headers, origin=own(stream)) as socket:
        next_frame(socket)
        change_password(user=member.user, password="another")
        assert close_of(socket, 4)[0] == 4502


def test_a_password_set_in_the_admin_closes_the_user_s_streams_at_once(
    stream: StreamProcess, member: Member
) -> None:
    operator = logged_in(User.objects.create_superuser(f"operator of {member.user.pk}"))
    page = f"/admin/auth/user/{member.user.pk}/password/"
    sent = {"usable_password": "true", "password1": "correct horse 1"}
    headers = cookie(new_session(member.user))
    with socket_to(stream, headers=headers, origin=own(stream)) as socket:
        next_frame(socket)
        operator.post(page, sent | {"password2": sent["password1"]})
        assert close_of(socket, 4)[0] == 4502


def test_a_key_that_expires_closes_its_stream(stream: StreamProcess, member: Member) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    ApiKey.objects.filter(pk=member.api_key.pk).update(expires_at=soon)
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        assert close_of(socket, 4)[0] == 4502


def test_another_role_goes_on_reading(stream: StreamProcess, member: Member) -> None:
    new_member(member.workspace, role=Role.OWNER)
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        membership = Membership.objects.get(pk=member.membership.pk)
        change_role(
            workspace_id=member.workspace.pk,
            membership_id=membership.pk,
            role=Role.VIEWER,
            cause=cause(),
        )
        socket.send('{"type": "ping"}')
        assert_pong(socket)


def test_a_password_that_changed_ends_its_sessions(stream: StreamProcess, member: Member) -> None:
    headers = cookie(new_session(member.user))
    with socket_to(stream, headers=headers, origin=own(stream)) as socket:
        next_frame(socket)
        user = User.objects.get(pk=member.user.pk)
        user.set_password("another")
        user.save()
        assert close_of(socket, 10)[0] == 4502


def test_a_ticket_renews_in_place(stream: StreamProcess, member: Member) -> None:
    first, _ = create_ticket(membership_id=member.membership.pk, api_key_id=member.api_key.pk)
    with socket_to(stream, f"ticket={first}") as socket:
        next_frame(socket)
        second, _ = create_ticket(membership_id=member.membership.pk)
        for ticket, answer in [(second, "authenticated"), (second, "error"), (None, "error")]:
            socket.send(json.dumps({"type": "authenticate", "ticket": ticket}))
            assert next_frame(socket)["type"] == answer
        revoke_key(workspace_id=member.workspace.pk, api_key_id=member.api_key.pk, cause=cause())
        assert next_frame(socket)["type"] == "api_key_revoked"
        with pytest.raises(TimeoutError):
            next_frame(socket, 1.5)  # it lives on by its membership
        foreign, _ = create_ticket(membership_id=new_member().membership.pk)
        socket.send(json.dumps({"type": "authenticate", "ticket": foreign}))
        assert next_frame(socket)["code"] == "other_workspace"


def test_requests_that_cannot_become_a_stream_get_a_problem(
    stream: StreamProcess, member: Member
) -> None:
    url, headers = f"{stream.url}/api/v1/events/stream", bearer(member.key)
    for query in ("after=x", "types=nonsense", "task=1"):
        answer = httpx.get(f"{url}?{query}", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid")
    assert httpx.post(url, headers=headers).status_code == 405
