"""What surrounds every request: problems, request ids, one log line, CORS, health."""

import io
import logging
import re
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

from config.env import Environment
from config.settings.security import origins
from tasks_app.api import task as task_api
from tasks_app.models import ProcessBeat
from tasks_app.observability.logs import logging_config
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db
ORIGIN = "https://app.example.org"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere/", 404),
        ("GET", "/api/v2/tasks/", 404),
        ("GET", "tasks/1/", 404),
        ("GET", "tasks/not-a-uuid/", 404),
        ("GET", "tasks/%00/", 404),
        ("GET", "tasks/01a1fc7d-6a30-7981-8d04-ef5899ce3665/", 404),
        ("PUT", "tasks/", 405),
        ("DELETE", "tasks/", 405),
        ("POST", "events/", 405),
        ("OPTIONS", "tasks/", 405),
        ("TRACE", "tasks/", 405),
        ("PUT", "destinations/01a1fc7d-6a30-7981-8d04-ef5899ce3665/", 405),
    ],
)
def test_every_refusal_is_a_problem(api: Caller, method: str, path: str, status: int) -> None:
    answer = api.call(method, path)
    assert answer.status == status
    assert answer.headers["X-Request-ID"]
    if status == 405:
        assert answer.headers["Allow"]


@pytest.mark.parametrize("accept", ["application/xml", "image/*", "text/css"])
def test_what_nobody_writes_is_not_acceptable(api: Caller, accept: str) -> None:
    assert api.get("tasks/", Accept=accept).status == 406


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html"])
def test_whoever_takes_json_gets_it(api: Caller, accept: str) -> None:
    assert api.get("tasks/", Accept=accept).headers["Content-Type"] == "application/json"


def broken(error: Exception) -> Any:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    return fail


def test_what_nobody_foresaw_is_a_bare_500(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_api, "create_task", broken(RuntimeError("password=hunter2")))
    answer = api.post("tasks/", {"title": "x"}, X_Request_ID="find-me")
    assert (answer.status, answer.headers["X-Request-ID"]) == (500, "find-me")
    assert b"hunter2" not in answer.raw
    assert b"RuntimeError" not in answer.raw


@pytest.mark.parametrize("as_json", [True, False])
def test_the_lines_of_a_500_show_no_query(
    api: Caller, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    """Django hands its log the whole request."""
    formatter = dict(logging_config(level="INFO", as_json=as_json)["formatters"]["line"])
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(formatter.pop("()")(**formatter))
    monkeypatch.setattr(task_api, "page", broken(RuntimeError("unforeseen")))
    logging.getLogger().addHandler(handler)
    try:
        api.get("tasks/?search=SECRET")
    finally:
        logging.getLogger().removeHandler(handler)
    written = handler.stream.getvalue()
    assert "Internal Server Error: /api/v1/tasks/" in written
    assert "SECRET" not in written


def test_a_database_that_does_not_answer_is_a_503(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_api, "create_task", broken(OperationalError("host=10.0.0.7")))
    answer = api.post("tasks/", {"title": "x"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert b"10.0.0.7" not in answer.raw


def test_a_host_that_is_not_ours_is_a_bad_request(api: Caller) -> None:
    assert api.get("tasks/", Host="evil.example.org").status == 400


def test_a_path_without_its_last_slash_keeps_method_and_body(api: Caller) -> None:
    answer = api.post("tasks", {"title": "x"})
    assert (answer.status, answer.headers["Location"]) == (308, "/api/v1/tasks/")


@pytest.mark.parametrize("given", ["abc", "A-b_c.d:1", "x" * 64])
def test_a_sane_request_id_is_kept(api: Caller, given: str) -> None:
    assert api.get("tasks/", X_Request_ID=given).headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ü", "<script>", "a\x00"])
def test_an_odd_request_id_is_replaced(api: Caller, given: str) -> None:
    assert re.fullmatch(
        "[0-9a-f]{32}", api.get("tasks/", X_Request_ID=given).headers["X-Request-ID"]
    )


def test_a_request_is_one_log_line_without_its_query(
    api: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    api.get("tasks/?search=SECRET&workspace=SECRET")
    (line,) = [record for record in caplog.records if record.name == "tasks_app.request"]
    told = vars(line)
    assert (told["method"], told["path"], told["status"]) == ("GET", "/api/v1/tasks/", 200)
    assert told["duration_ms"] >= 0
    assert told["workspace"].startswith("w-")
    assert told["actor"].startswith("user-")
    assert not [record for record in caplog.records if "SECRET" in str(vars(record))]


def test_cors_names_the_origin_and_what_scripts_may_read(api: Caller, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    for answer in (api.get("tasks/", Origin=ORIGIN), api.get("nowhere/", Origin=ORIGIN)):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        exposed = answer.headers["Access-Control-Expose-Headers"]
        assert {"ETag", "Stream-Cursor", "X-Request-ID"} <= set(exposed.split(", "))
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", "*", f"{ORIGIN}.evil.org"])
def test_cors_gives_other_origins_nothing(api: Caller, settings: Any, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    answer = api.get("tasks/", Origin=origin)
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert "Origin" in answer.headers["Vary"]


def test_a_preflight_needs_no_credentials(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
    answer = Caller(asked).call("OPTIONS", "tasks/")
    assert (answer.status, answer.raw) == (204, b"")
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]
    other = Caller(asked | {"Origin": "https://evil.example.org"}).call("OPTIONS", "tasks/")
    assert not [name for name in other.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("value", ["*", "app.example.org", "https://a.org/path", "https://*.a.org"])
def test_a_wrong_origin_in_the_environment_stops_the_start(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="CORS_ALLOWED_ORIGINS"):
        Environment({"CORS_ALLOWED_ORIGINS": value}).parsed("CORS_ALLOWED_ORIGINS", "", origins)


def test_health_needs_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert Caller().get("/healthz").body == {"status": "ok"}


def test_ready_reports_what_is_missing_without_failing(db: None) -> None:
    answer = Caller().get("/readyz")
    assert answer.status == 200
    assert answer.body["checks"] == {
        "database": True,
        "broker": True,
        "worker": False,
        "beat": False,
    }
    assert answer.body["status"] == "degraded"


def test_ready_sees_who_has_shown_himself_lately() -> None:
    with connection.cursor() as cursor:
        for name, kind, ago in (("w", "worker", 1), ("b", "beat", 60)):
            cursor.execute(
                f"INSERT INTO {ProcessBeat._meta.db_table} (name, kind, started_at, seen_at)"
                " VALUES (%s, %s, now(), now() - make_interval(secs => %s))",
                [name, kind, ago],
            )
    checks = Caller().get("/readyz").body["checks"]
    assert (checks["worker"], checks["beat"]) == (True, False)


def test_ready_stays_ready_without_the_broker(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Caller().get("/readyz")
    assert (answer.status, answer.body["checks"]["broker"]) == (200, False)
