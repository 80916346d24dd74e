"""Following a log over both transports: what comes first, what comes live, what comes back."""

import json
import time
from socket import create_connection

import httpx
import pytest

from tasks_app.models import Event, WorkspaceHead
from tests.integration.stream.conftest import SERVERS
from tests.support.stream_client import bearer, events_from, next_frame, socket_to
from tests.support.stream_process import StreamProcess
from tests.support.stream_world import Member, new_member, write


def test_the_welcome_comes_first_and_tells_head_epoch_and_limits(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, 3)
    head = WorkspaceHead.objects.get(workspace_id=member.workspace.pk)
    with socket_to(stream, headers=bearer(member.key)) as socket:
        welcome = next_frame(socket)
    assert welcome["type"] == "welcome"
    assert welcome["workspace"] == member.workspace.slug
    assert (welcome["head"], welcome["epoch"]) == (3, head.epoch)
    assert welcome["limits"]["messages_per_second"] == 50
    assert welcome["limits"]["frame_bytes"] == 64 * 1024


def test_without_a_cursor_one_follows_live_from_the_head(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, 2)
    with socket_to(stream, headers=bearer(member.key)) as socket:
        assert next_frame(socket)["head"] == 2
        write(member.workspace.pk)
        assert next_frame(socket)["seq"] == 3


def test_both_transports_show_the_api_s_json(stream: StreamProcess, member: Member) -> None:
    write(member.workspace.pk, title="naïve — ünïcode 😀 \n", labels=["a"])
    with socket_to(stream, "after=0", headers=bearer(member.key)) as socket:
        next_frame(socket)
        over_socket = next_frame(socket)
    with events_from(stream, "after=0", headers=bearer(member.key)) as events:
        next(events)
        event = next(events)
    assert event.frame == over_socket
    assert event.name == ""
    assert over_socket["task"]["title"] == "naïve — ünïcode 😀 \n"
    assert over_socket["type"] == "task_created"


def test_http_1_0_gets_the_events_without_chunks(stream: StreamProcess, member: Member) -> None:
    """As a proxy asks that was told nothing else."""
    request = (
        "GET /api/v1/events/stream HTTP/1.0\r\nHost: localhost\r\n"
        f"Authorization: Bearer {member.key}\r\n\r\n"
    )
    with create_connection(("127.0.0.1", stream.port), timeout=10) as plain:
        plain.sendall(request.encode())
        got = b""
        while got.count(b"\n\n") < 2:
            got += plain.recv(65_536)
    _, _, body = got.partition(b"\r\n\r\n")
    assert b"\r" not in body
    assert body.startswith(b"retry: ")


@pytest.mark.parametrize("with_epoch", [True, False])
def test_a_cursor_resumes_after_itself(
    stream: StreamProcess, member: Member, with_epoch: bool
) -> None:
    write(member.workspace.pk, 4)
    epoch = WorkspaceHead.objects.get(workspace_id=member.workspace.pk).epoch
    cursor = f"{epoch}.2" if with_epoch else "2"
    with socket_to(stream, f"after={cursor}", headers=bearer(member.key)) as socket:
        frames = [next_frame(socket) for _ in range(3)]
    assert [frame.get("seq") for frame in frames] == [None, 3, 4]
    headers = bearer(member.key) | {"Last-Event-ID": cursor}
    with events_from(stream, "after=0", headers=headers) as events:  # the header is newer
        welcome, third = next(events), next(events)
    assert welcome.id == f"{epoch}.2"
    assert third.id == f"{epoch}.3"


@pytest.mark.parametrize("cursor", ["9", "0123abcd.1", "1x", "-1", "9" * 30])
def test_a_cursor_that_lies_nowhere_is_reset_and_then_live(
    stream: StreamProcess, member: Member, cursor: str
) -> None:
    write(member.workspace.pk, 2)
    with socket_to(stream, f"after={cursor}", headers=bearer(member.key)) as socket:
        next_frame(socket)
        reset = next_frame(socket)
        write(member.workspace.pk)
        assert (reset["type"], reset["head"]) == ("reset", 2)
        assert next_frame(socket)["seq"] == 3


def test_a_cursor_older_than_what_is_kept_is_reset(stream: StreamProcess, member: Member) -> None:
    write(member.workspace.pk, 5)
    Event.objects.filter(workspace_id=member.workspace.pk, seq__lte=3).delete()
    with socket_to(stream, "after=1", headers=bearer(member.key)) as socket:
        next_frame(socket)
        assert next_frame(socket)["type"] == "reset"
    with events_from(stream, "after=1", headers=bearer(member.key)) as events:
        next(events)
        reset = next(events)
    assert reset.frame["head"] == 5
    assert reset.id.endswith(".5")
    with socket_to(stream, "after=3", headers=bearer(member.key)) as socket:
        next_frame(socket)
        assert next_frame(socket)["seq"] == 4


def test_a_log_that_began_anew_resets_whoever_follows(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, 2)
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        WorkspaceHead.objects.filter(workspace_id=member.workspace.pk).update(epoch="restored")
        frame = next_frame(socket)
    assert frame == {"type": "reset", "head": 2, "epoch": "restored"}


def test_another_workspace_s_events_are_never_seen(
    stream: StreamProcess, member: Member, transactional_db: None
) -> None:
    stranger = new_member()
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        write(stranger.workspace.pk, 3)
        write(member.workspace.pk)
        assert next_frame(socket)["seq"] == 1


def test_a_filter_is_replaced_and_heads_let_a_filtered_follower_resume(
    stream: StreamProcess, member: Member
) -> None:
    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        socket.send(json.dumps({"type": "subscribe", "assignee": ["ann"], "label": "x"}))
        assert next_frame(socket) == {"type": "head", "seq": 0}
        write(member.workspace.pk, assignee="bob", labels=["x"])
        write(member.workspace.pk, assignee="ann", labels=["x", "y"])
        write(member.workspace.pk, assignee="ann")
        frames = [next_frame(socket)]
        while frames[-1].get("seq") != 3:
            frames.append(next_frame(socket))
        assert [frame["seq"] for frame in frames if "id" in frame] == [2]
        assert frames[-1] == {"type": "head", "seq": 3}
        socket.send('{"type": "subscribe"}')
        write(member.workspace.pk)
        while (frame := next_frame(socket))["type"] == "head":
            pass
        assert frame["seq"] == 4


def test_an_event_stream_is_filtered_by_its_query_and_shows_bare_ids(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk, 3)
    with events_from(stream, "after=0&types=task_deleted", headers=bearer(member.key)) as events:
        next(events)
        bare = next(events)
    assert bare.data == ""
    assert bare.id.endswith(".3")


def test_messages_are_answered_as_the_contract_says(stream: StreamProcess, member: Member) -> None:
    def ask(message: str | bytes) -> dict[str, object]:
        socket.send(message)
        return next_frame(socket)

    with socket_to(stream, headers=bearer(member.key)) as socket:
        next_frame(socket)
        assert ask('{"type": "ping"}') == {"type": "pong"}
        assert ask("hello") == {"type": "echo", "message": "hello"}
        assert ask("[1, 2]") == {"type": "echo", "message": "[1, 2]"}
        assert ask('{"type": "echo", "message": {"a": [1]}}')["message"] == {"a": [1]}
        assert ask('{"type": "no such"}')["code"] == "unknown_type"
        assert ask("{}")["code"] == "unknown_type"
        assert ask('{"type": "subscribe", "who": "x"}')["code"] == "bad_filter"
        assert ask('{"type": "subscribe", "types": ["x"]}')["code"] == "bad_filter"
        assert ask(b"\x00\x01")["code"] == "binary_not_supported"
        assert ask('{"type": "ping"}') == {"type": "pong"}


def test_an_idle_follower_stays_for_longer_than_any_socket_timeout(
    streams: dict[str, StreamProcess], member: Member
) -> None:
    uvicorn, daphne = (streams[server] for server in SERVERS)
    headers = bearer(member.key)
    with socket_to(uvicorn, headers=headers) as one, socket_to(daphne, headers=headers) as other:
        next_frame(one), next_frame(other)
        time.sleep(7)  # redis-py's own default is 5
        write(member.workspace.pk)
        assert next_frame(one)["seq"] == next_frame(other)["seq"] == 1
    for stream in (uvicorn, daphne):
        assert stream.ready()[1]["subscription"] == "alive"


def test_an_event_stream_may_be_neither_stored_nor_buffered(
    stream: StreamProcess, member: Member
) -> None:
    url = f"{stream.url}/api/v1/events/stream"
    with httpx.stream("GET", url, headers=bearer(member.key) | {"X-Request-ID": "r1"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-request-id"] == "r1"
        assert next(answer.iter_lines()).startswith("retry: ")
