"""Two transactions at once, each step forced: threads with connections of their own."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django.db import connection, connections

T = TypeVar("T")
DEADLINE = 20.0  # seconds


def in_thread(work: Callable[[], T]) -> "Future[T]":
    """Run ``work`` in a thread of its own, and close the connections it opened."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the caller asks for the result
            future.set_exception(error)
        finally:
            connections.close_all()

    threading.Thread(target=run, daemon=True).start()
    return future


def backend_pid() -> int:
    """Return this thread's PostgreSQL process."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait until the condition holds; fail with ``what`` after ``seconds``."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            raise AssertionError(f"still not: {what}")
        time.sleep(0.005)


def until_blocked(pid: int) -> None:
    """Wait until that PostgreSQL process waits for a lock of another transaction."""

    def blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [pid])
            return bool(cursor.fetchone()[0])

    until(blocked, f"backend {pid} waits for a lock")
