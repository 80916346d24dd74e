"""Files in and out of a real house, through its one address."""

import contextlib
import http.client
import io
import json
import time
from typing import Any

import httpx
import pytest

from tests.support.house import DEMO_KEY, House, running_house
from tests.support.threads import until

pytestmark = pytest.mark.timeout(180)
ROWS = 20_000
MIB = 2**20


def body_of(answer: http.client.HTTPResponse) -> Any:
    return json.loads(answer.read())


def sent(house: House, size: int, *, chunked: bool) -> tuple[int, Any]:
    """Send a file of so many bytes; return status and body."""

    def pieces() -> Any:
        yield b"title\n"
        for left in range(size - 6, 0, -MIB):
            yield b"x" * min(MIB, left)

    client = http.client.HTTPConnection("127.0.0.1", house.port, timeout=60)
    headers = {"Authorization": f"Bearer {DEMO_KEY}", "Content-Type": "text/csv"}
    if not chunked:
        headers["Content-Length"] = str(size)
    with contextlib.closing(client):
        client.request("POST", "/api/v1/imports/", pieces(), headers, encode_chunked=chunked)
        answer = client.getresponse()
        return answer.status, body_of(answer)


def test_files_go_in_and_out_through_the_one_address() -> None:
    with running_house() as house, house.client() as client:
        for one in client.get("destinations/").json()["results"]:
            client.delete(f"destinations/{one['id']}/")
        bad = b"external_id,title\nE-1,\n,\x00\nE-2,fine\n"
        job = import_file(client, bad)
        assert (job["done"], job["failed"]) == (1, 2)
        assert [error["row"] for error in job["errors"]] == [1, 2]
        check_limits(house)
        fill(house)
        check_a_killed_stream_cuts_an_export(house)


def import_file(client: httpx.Client, data: bytes) -> dict[str, Any]:
    files = {"file": ("tasks.csv", io.BytesIO(data), "text/csv")}
    answer = client.post("imports/", files=files)
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]

    def is_over() -> bool:
        return bool(client.get(path).json()["state"] != "running")

    until(is_over, "the import has ended", 60)
    told: dict[str, Any] = client.get(path).json()
    return told


def check_limits(house: House) -> None:
    """Too large by its length or in fact, form or not: 413, and nothing of it is kept."""
    for size, chunked in ((100 * MIB + 1, False), (102 * MIB, False), (102 * MIB, True)):
        status, body = sent(house, size, chunked=chunked)
        assert (status, body["status"]) == (413, 413)
    until(lambda: house.query("SELECT count(*) FROM import_chunk") == [(0,)], "nothing is kept")
    huge = httpx.post(f"{house.url}/api/v1/tasks/", content=b"x" * (2 * MIB))
    assert huge.status_code == 413


def fill(house: House) -> None:
    """Make enough for an export that does not fit into sockets on the way."""
    house.query(
        "WITH made AS (INSERT INTO task (id, workspace_id, number, title, description, status,"
        " priority, assignee, labels, metadata, version, created_by, created_at, updated_at)"
        " SELECT aftercommit_uuid7(), h.workspace_id, h.task_number + n, 't', repeat('x', 2000),"
        " 'open', 'normal', '', '{}', '{}', 1, 'demo', now(), now()"
        f" FROM workspace_head h, generate_series(1, {ROWS}) n)"
        f" UPDATE workspace_head SET task_number = task_number + {ROWS} RETURNING 1"
    )


def check_a_killed_stream_cuts_an_export(house: House) -> None:
    """The proxy passes the cut on: it does not end for us what was not ended for it."""
    url = "tasks/export/?format=csv"
    with house.client() as client, client.stream("GET", url) as answer:
        assert answer.headers["Content-Disposition"].endswith('.csv"')
        pieces = answer.iter_raw(4096)
        next(pieces)
        time.sleep(0.5)
        house.kill("stream")
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in pieces:
                pass
    house.wait_until_ready()
    with house.client() as client, client.stream("GET", url) as answer:
        lines = sum(piece.count(b"\r\n") for piece in answer.iter_raw())
    assert lines == ROWS + 2  # the header, and the one that was imported
