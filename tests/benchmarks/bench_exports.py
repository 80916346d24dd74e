"""1,000,000 tasks exported in both formats, while a slow client reads a third export.

A house of its own, as `make up` starts it; through the proxy. What counts is the memory of `stream`
and that nobody holds a snapshot: the oldest transaction of any connection. BENCH_ROWS.
"""

import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from config.env import data_dir
from tests.support.house import DEMO_KEY, House, running_house

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
FLAT = 64 * 2**20  # bytes that the stream's memory may grow by, however many rows
MAKE = """
    WITH made AS (
        INSERT INTO task (id, workspace_id, number, title, description, status, priority,
            assignee, labels, metadata, version, created_by, created_at, updated_at)
        SELECT aftercommit_uuid7(), h.workspace_id, h.task_number + n, '=task ' || n,
            repeat('x', 100), 'open', 'normal', '', ARRAY['a'], '{"n": 1}', 1, 'demo',
            statement_timestamp(), statement_timestamp()
        FROM workspace_head h, generate_series(1, 50000) n)
    UPDATE workspace_head SET task_number = task_number + 50000 RETURNING task_number
"""


class Watch:
    """Looks at the stream's memory and at the oldest transaction, ten times a second."""

    def __init__(self, house: House) -> None:
        self.most, self.oldest = 0, 0.0
        self._house, self._ends = house, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop."""
        self._ends.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ends.wait(0.1):
            self.most = max(self.most, resident(self._house))
            age = self._house.query(
                "SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)"
                " FROM pg_stat_activity WHERE application_name = 'stream'"
            )
            self.oldest = max(self.oldest, float(age[0][0]))


def resident(house: House) -> int:
    """Return the stream's memory in bytes."""
    lines = Path(f"/proc/{house.pid('stream')}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


def main() -> int:
    """Run, print, write JSON; return 1 where memory was not flat or rows were missing."""
    with running_house() as house:
        first = int(house.query("SELECT max(task_number) FROM workspace_head")[0][0])
        for _ in range(0, ROWS, 50_000):
            house.query(MAKE)
        slow = _slow(house)
        with house.client() as client:
            client.get("tasks/export/?status=cancelled")  # what loads once
        before, watch = resident(house), Watch(house)
        told: dict[str, Any] = {"rows": ROWS}
        for file_format in ("ndjson", "csv"):
            told |= _export(house, file_format, first + ROWS)
        slow.close()
        watch.stop()
    told |= {
        "memory before MiB": before >> 20,
        "memory at most MiB": watch.most >> 20,
        "oldest transaction s": round(watch.oldest, 2),
    }
    _print(told)
    return int(watch.most - before > FLAT)


def _slow(house: House) -> socket.socket:
    """Ask for all, and read a little of it in each second."""
    client = socket.create_connection(("127.0.0.1", house.port))
    client.sendall(
        b"GET /api/v1/tasks/export/?format=ndjson HTTP/1.1\r\nHost: localhost\r\n"
        b"Authorization: Bearer " + DEMO_KEY.encode() + b"\r\n\r\n"
    )

    def read() -> None:
        try:
            while client.recv(65_536):
                time.sleep(1)
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    return client


def _export(house: House, file_format: str, rows: int) -> dict[str, Any]:
    began, lines, size = time.monotonic(), 0, 0
    with (
        house.client() as client,
        client.stream("GET", f"tasks/export/?format={file_format}") as answer,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            lines += piece.count(b"\n")
            size += len(piece)
    assert lines == rows + (file_format == "csv"), (lines, rows)
    seconds = time.monotonic() - began
    return {
        f"{file_format} s": round(seconds, 1),
        f"{file_format} rows a second": round(rows / seconds),
        f"{file_format} MiB": size >> 20,
    }


def _print(told: dict[str, Any]) -> None:
    print("\nexports: through the proxy, beside a client that reads 64 KiB a second")
    for name, value in told.items():
        print(f"  {name:<24} {value}")
    path = data_dir() / "bench" / "exports.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), **told}, indent=2) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    sys.exit(main())
