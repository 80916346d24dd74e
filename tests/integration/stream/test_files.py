"""Exports and uploads through the real stream: flat memory, nothing held, nothing half taken."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from django.db import connection, transaction

from realtime.database import THREADS
from tasks_app.api.export import THREADS as READERS
from tasks_app.models import ImportChunk, ImportJob
from tests.support.many_tasks import make_tasks
from tests.support.stream_client import bearer
from tests.support.stream_process import StreamProcess, running_stream
from tests.support.stream_world import Member, new_member, write
from tests.support.threads import in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)
EXPORT = "/api/v1/tasks/export/?format=ndjson"
MIB = 2**20
LASTING = THREADS + READERS  # connections of lasting threads


@pytest.fixture
def writer(transactional_db: None) -> Member:
    return new_member(scope="write")


def asking(stream: StreamProcess, member: Member, path: str = EXPORT) -> socket.socket:
    """Ask for an export with a small window, and read nothing of the answer yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.settimeout(20)
    client.connect(("127.0.0.1", stream.port))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {member.key}\r\n\r\n"
    client.sendall(head.encode())
    return client


def rest_of(client: socket.socket) -> bytes:
    """Read what comes until the end, as it is framed."""
    found = bytearray()
    while data := client.recv(1 << 20):
        found += data
        if found.endswith(b"0\r\n\r\n"):
            break
    return bytes(found)


def test_slow_clients_cost_no_memory_no_connection_and_nobody_s_time(
    stream: StreamProcess, member: Member
) -> None:
    make_tasks(member.workspace, 12_000, size=1500)  # 22 MB as NDJSON
    httpx.get(stream.url + EXPORT, headers=bearer(member.key), timeout=30)  # what loads once
    before, held = stream.resident(), stream.connections()
    slow = [asking(stream, member) for _ in range(4)]
    until(lambda: all(client.recv(1, socket.MSG_PEEK) for client in slow), "answers have begun")
    refused = httpx.get(stream.url + EXPORT, headers=bearer(member.key))
    assert refused.status_code == 429
    assert stream.ready()[0] == 200
    time.sleep(0.5)  # let them take what they may; nothing is waited for
    assert stream.resident() - before < 44 * MIB  # 88 MB are asked for
    assert stream.connections() <= held + 2  # two threads read for all exports
    numbers = [
        json.loads(line)["number"] for line in dechunked(rest_of(slow[0])) if line.startswith(b"{")
    ]
    assert numbers == list(range(1, 12_001))
    for client in slow:
        client.close()
    until(lambda: not held_places(stream, member), "their places are free again", 20)


def held_places(stream: StreamProcess, member: Member) -> bool:
    """Tell whether a further export is refused."""
    found = [asking(stream, member) for _ in range(4)]
    try:
        return any(b" 429 " in client.recv(12) + client.recv(8) for client in found)
    finally:
        for client in found:
            client.close()


def dechunked(answer: bytes) -> Iterator[bytes]:
    """Return the lines of a body in chunks (RFC 9112 §7.1), which ended as it should."""
    _, _, left = answer.partition(b"\r\n\r\n")
    body = bytearray()
    while left:
        size, _, left = left.partition(b"\r\n")
        body += left[: int(size, 16)]
        left = left[int(size, 16) + 2 :]
    assert answer.endswith(b"0\r\n\r\n")
    return iter(bytes(body).splitlines())


def test_an_export_that_goes_wrong_in_the_middle_is_cut_and_never_ended(
    stream: StreamProcess, member: Member
) -> None:
    """Its next page waits for a table that somebody has locked, until it is cancelled."""
    make_tasks(member.workspace, 12_000, size=1000)
    client = asking(stream, member)
    assert client.recv(12) == b"HTTP/1.1 200"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE task IN ACCESS EXCLUSIVE MODE")
        answer = in_thread(lambda: rest_until_cut(client))
        until(who_waits_for_us_is_cancelled, "the next page waits")
        got = answer.result(30)
    assert b"\r\n0\r\n\r\n" not in got[-20:]
    assert 0 < got.count(b'"number"') < 12_000
    client.close()


def who_waits_for_us_is_cancelled() -> bool:
    """Cancel who waits for a lock of this connection; tell whether anybody did."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchall())


def rest_until_cut(client: socket.socket) -> bytes:
    found = bytearray()
    try:
        while data := client.recv(1 << 20):
            found += data
            assert not found.endswith(b"\r\n0\r\n\r\n")
    except ConnectionResetError:
        pass
    return bytes(found)


def test_a_client_that_reads_nothing_is_cut_off(member: Member) -> None:
    make_tasks(member.workspace, 12_000, size=1000)
    hasty = {"DJANGO_SETTINGS_MODULE": "tests.support.hasty_settings"}
    with running_stream("uvicorn", ready=True, **hasty) as stream:
        client = asking(stream, member)
        until(lambda: "answer_cut" in stream.log.read_text(), "it is cut off", 20)
        got = rest_until_cut(client)
        assert got.count(b'"number"') < 12_000
        assert "ASGI callable" not in stream.log.read_text()
        client.close()


def test_bad_questions_are_answered_before_the_first_byte(
    stream: StreamProcess, member: Member
) -> None:
    write(member.workspace.pk)
    for path, status in (("?nope=1", 400), ("?status=closed", 400), ("", 200)):
        url = f"{stream.url}/api/v1/tasks/export/{path}"
        assert httpx.get(url, headers=bearer(member.key)).status_code == status
    assert httpx.get(stream.url + EXPORT).status_code == 401
    assert httpx.head(stream.url + EXPORT, headers=bearer(member.key)).status_code == 200
    answer = httpx.get(stream.url + EXPORT, headers=bearer(member.key))
    assert answer.headers["Stream-Cursor"].endswith(".1")


def upload(stream: StreamProcess, size: int, key: str = "") -> http.client.HTTPConnection:
    """Begin to send a file of so many bytes."""
    client = http.client.HTTPConnection("127.0.0.1", stream.port, timeout=30)
    client.putrequest("POST", "/api/v1/imports/")
    client.putheader("Content-Type", "text/csv")
    client.putheader("Content-Length", str(size))
    if key:
        client.putheader("Authorization", f"Bearer {key}")
    client.endheaders()
    return client


def test_a_file_is_kept_as_it_comes_in_and_memory_holds_a_part_of_it(
    streams: dict[str, StreamProcess], writer: Member
) -> None:
    stream = streams["uvicorn"]  # Daphne hands a body over when it has all of it
    row = b"x" * 1023 + b"\n"
    with closing(upload(stream, 6 + 40 * MIB, writer.key)) as client:
        client.send(b"title\n")
        for sent in range(40):
            client.send(row * 1024)
            if sent == 4:
                before = stream.resident()
            if sent == 20:
                until(lambda: ImportChunk.objects.count() >= 60, "its parts are kept")
        answer = client.getresponse()
        assert answer.status == 202, answer.read()
    assert stream.resident() - before < 20 * MIB
    job = ImportJob.objects.get()
    assert (job.state, job.size) == ("running", 6 + 40 * MIB)
    assert stream.connections() <= LASTING


def test_what_breaks_off_leaves_nothing(streams: dict[str, StreamProcess], writer: Member) -> None:
    client = upload(streams["uvicorn"], 10 * MIB, writer.key)
    client.send(b"title\n" + b"x\n" * MIB)
    until(ImportChunk.objects.exists, "its first part is kept")
    client.close()
    until(lambda: not ImportJob.objects.exists(), "nothing is left of it")
    assert not ImportChunk.objects.exists()


def test_a_stranger_s_file_is_refused_unread(stream: StreamProcess, transactional_db: None) -> None:
    for key, status in (("", 401), (new_member(scope="read").key, 403)):
        with closing(upload(stream, 3 * MIB, key)) as client:
            for _ in range(3):
                client.send(b"x" * MIB)
            answer = client.getresponse()
            assert answer.status == status
            assert json.loads(answer.read())["status"] == status
    assert not ImportJob.objects.exists()
