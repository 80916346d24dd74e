"""`/healthz`: the process is alive. `/readyz`: it can serve; what else is missing is reported."""

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from tasks_app.observability.health import broker_answers, database_answers
from tasks_app.queries.liveness import living_processes


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200, touching nothing."""
    return _answer(200, {"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 503 only where the database is missing: without the rest, writes are still kept."""
    database = database_answers()
    living = living_processes() if database else {}
    checks = {
        "database": database,
        "broker": broker_answers(settings.REDIS_URL),
        "worker": living.get("worker", 0) > 0,
        "beat": living.get("beat", 0) > 0,
    }
    status = "ok" if all(checks.values()) else "degraded" if database else "unavailable"
    return _answer(200 if database else 503, {"status": status, "checks": checks})


def _answer(status: int, body: dict[str, Any]) -> HttpResponse:
    response = HttpResponse(orjson.dumps(body), status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response
