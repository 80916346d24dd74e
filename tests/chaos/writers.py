"""Clients that create, change and delete at a steady rate, and write down every answer."""

import random
import threading
import time
from typing import Any

import httpx

from tests.chaos.records import Diary, Told
from tests.support.house import House

TASKS = 12  # that one client has in hand
WEIGHTS = {"create": 25, "update": 60, "delete": 9, "stale": 3, "invalid": 3}


class Writer:
    """One client with tasks of its own, so that it knows which version it should be told."""

    def __init__(self, number: int, *, house: House, diary: Diary, every: float, seed: int) -> None:
        self.house, self.every = house, every
        self.answered = self.unanswered = 0
        self.error: BaseException | None = None
        self._diary = diary
        self._name, self._count = f"chaos-{number}", 0
        self._dice = random.Random(f"{seed} {number}")
        self._tasks: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, once the last answer has come; raises what went wrong."""
        self._stopped.set()
        self._thread.join(60)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        due = time.monotonic()
        try:
            with self.house.client() as api:
                while not self._stopped.is_set():
                    self._act(api)
                    due = max(due + self.every, time.monotonic() - 1.0)
                    self._stopped.wait(max(0.0, due - time.monotonic()))
        except BaseException as error:  # noqa: BLE001 - stop() raises it
            self.error = error

    def _act(self, api: httpx.Client) -> None:
        op = self._dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if len(self._tasks) < 2:
            op = "create"
        elif len(self._tasks) >= TASKS and op == "create":
            op = "delete"
        task = self._dice.choice(self._tasks) if op != "create" else ""
        if op == "delete":
            self._tasks.remove(task)
        self._count += 1
        told = self._ask(api, op, task, f"{self._name}-{self._count}")
        self._diary.write(told)
        self.answered += told.status in range(200, 300)
        self.unanswered += told.status == 0 or told.status >= 500
        if told.op == "create" and told.status == 201:
            self._tasks.append(told.task)

    def _ask(self, api: httpx.Client, op: str, task: str, request_id: str) -> Told:
        method, path, body, headers = _request(op, task, request_id)
        asked = time.time()
        status, error = 0, ""
        found: dict[str, Any] = {}
        try:
            answer = api.request(method, path, json=body, headers=headers)
            status = answer.status_code
            found = answer.json() if status in (200, 201) else {}
        except httpx.HTTPError as problem:
            error = repr(problem)[:200]
        return Told(
            asked=asked,
            answered=time.time(),
            op=op if op in ("create", "update", "delete") else "refused",
            request_id=request_id,
            status=status,
            task=found.get("id", task),
            version=found.get("version", 0),
            error=error,
        )


def _request(
    op: str, task: str, request_id: str
) -> tuple[str, str, dict[str, Any] | None, dict[str, str]]:
    headers = {"X-Request-ID": request_id}
    path = f"tasks/{task}/"
    if op == "create":
        return "POST", "tasks/", {"title": request_id, "labels": ["chaos"]}, headers
    if op == "delete":
        return "DELETE", path, None, headers
    if op == "stale":
        return "PATCH", path, {"title": request_id}, {**headers, "If-Match": '"1000000"'}
    if op == "invalid":
        return "PATCH", path, {"title": request_id, "status": "no such status"}, headers
    return "PATCH", path, {"title": request_id}, headers
