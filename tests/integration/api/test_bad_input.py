"""Bad input gets a problem with a pointer to the place, and writes nothing."""

import uuid
from typing import Any

import pytest

from tasks_app.models import Destination, Event, Task, Workspace
from tests.support import factories
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


DEEPEST = "/metadata" + "/a" * 15
UNREADABLE = [
    (b"", "/title", "required"),
    (b"{", "", "malformed_json"),
    (b"{'title': 1}", "", "malformed_json"),
    (b'{"title": "a"} x', "", "malformed_json"),
    (b'{"title": "a",}', "", "malformed_json"),
    (b"\xef\xbb\xbf{}", "", "malformed_json"),
    (b'{"title": "a\nb"}', "", "malformed_json"),
    (b'{"title": "\\ud83d"', "", "malformed_json"),
    (b'"title"', "", "not_an_object"),
    (b"[]", "", "not_an_object"),
    (b"null", "", "null"),
    (b"1", "", "not_an_object"),
    (b'{"title": "\xff"}', "", "not_utf8"),
    (b'{"title": "\xed\xa0\x80"}', "", "not_utf8"),
    (b'{"title": "\xc0\x80"}', "", "not_utf8"),
    ('{"title": "a"}'.encode("utf-16"), "", "not_utf8"),
    (b'{"title": "\\ud800"}', "/title", "unstorable_text"),
    (b'{"title": "\\udc00\\ud800"}', "/title", "unstorable_text"),
    (b'{"title": "a\\u0000b"}', "/title", "unstorable_text"),
    (b'{"title":"a","metadata":{"\\u0000":1}}', "/metadata/\\u0000", "unstorable_text"),
    (b'{"title":"a","metadata":{"x":["\\ud800"]}}', "/metadata/x/0", "unstorable_text"),
    (b'{"title": "a", "title": "b"}', "/title", "repeated"),
    (b'{"title":"a","metadata":{"~/x":1,"~/x":2}}', "/metadata/~0~1x", "repeated"),
    (b'{"title":"a","metadata":{"n":NaN}}', "/metadata/n", "not_a_number"),
    (b'{"title":"a","metadata":{"n":[-Infinity]}}', "/metadata/n/0", "not_a_number"),
    (b'{"title":"a","metadata":{"n":1e400}}', "/metadata/n", "number_out_of_range"),
    (b'{"title":"a","metadata":{"n":1e20}}', "/metadata/n", "number_out_of_range"),
    (b'{"title":"a","metadata":{"n":[-1.5e300]}}', "/metadata/n/0", "number_out_of_range"),
    (b'{"title":"a","metadata":{"n":9223372036854775808}}', "/metadata/n", "number_out_of_range"),
    (b'{"title":"a","metadata":{"n":' + b"9" * 5000 + b"}}", "/metadata/n", "number_out_of_range"),
    (b'{"title":"a","metadata":' + b"[" * 200_000, "", "too_deep"),
    (b'{"title":"a","metadata":' + b'{"a":' * 20 + b"1" + b"}" * 21, DEEPEST, "too_deep"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "pointer", "code"), UNREADABLE)
def test_an_unreadable_body_is_refused_at_its_place(
    api: Caller, raw: bytes, pointer: str, code: str
) -> None:
    answer = api.call("POST", "tasks/", raw=raw)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)])
    assert not Task.objects.exists()
    assert not Event.objects.exists()


WRONG_TASKS: list[tuple[dict[str, Any], str, str]] = [
    ({"title": ""}, "/title", "blank"),
    ({"title": " \t\n"}, "/title", "blank"),
    ({"title": None}, "/title", "null"),
    ({"title": 1}, "/title", "invalid"),
    ({"title": True}, "/title", "invalid"),
    ({"title": ["a"]}, "/title", "invalid"),
    ({"title": {"a": 1}}, "/title", "invalid"),
    ({"title": "t" * 201}, "/title", "max_length"),
    ({"description": "d" * 20_001}, "/description", "max_length"),
    ({"description": None}, "/description", "null"),
    ({"description": 1.5}, "/description", "invalid"),
    ({"status": "closed"}, "/status", "invalid_choice"),
    ({"status": "OPEN"}, "/status", "invalid_choice"),
    ({"status": ""}, "/status", "invalid_choice"),
    ({"status": None}, "/status", "null"),
    ({"status": ["open"]}, "/status", "invalid_choice"),
    ({"priority": 1}, "/priority", "invalid_choice"),
    ({"priority": True}, "/priority", "invalid_choice"),
    ({"priority": {}}, "/priority", "invalid_choice"),
    ({"assignee": 7}, "/assignee", "invalid"),
    ({"assignee": "a" * 151}, "/assignee", "max_length"),
    ({"external_id": ""}, "/external_id", "blank"),
    ({"external_id": 12}, "/external_id", "invalid"),
    ({"external_id": "e" * 201}, "/external_id", "max_length"),
    ({"due_at": "tomorrow"}, "/due_at", "invalid"),
    ({"due_at": "2026-01-01"}, "/due_at", "invalid"),
    ({"due_at": "2026-01-01T00:00:00"}, "/due_at", "invalid"),
    ({"due_at": "2026-02-30T00:00:00Z"}, "/due_at", "invalid"),
    ({"due_at": "0001-01-01T00:00:00+23:59"}, "/due_at", "invalid"),
    ({"due_at": "9999-12-31T23:59:59-23:59"}, "/due_at", "invalid"),
    ({"due_at": "20260101T000000Z"}, "/due_at", "invalid"),
    ({"due_at": 1_700_000_000}, "/due_at", "invalid"),
    ({"due_at": True}, "/due_at", "invalid"),
    ({"due_at": "١٩٩٩-01-01T00:00:00Z"}, "/due_at", "invalid"),
    ({"labels": "a"}, "/labels", "not_a_list"),
    ({"labels": {"a": 1}}, "/labels", "not_a_list"),
    ({"labels": None}, "/labels", "null"),
    ({"labels": ["a", 1]}, "/labels/1", "invalid"),
    ({"labels": ["a", None]}, "/labels/1", "null"),
    ({"labels": ["a", ""]}, "/labels/1", "blank"),
    ({"labels": ["a", "b", "a"]}, "/labels/2", "repeated"),
    ({"labels": ["l" * 51]}, "/labels/0", "max_length"),
    ({"labels": [str(i) for i in range(51)]}, "/labels", "max_length"),
    ({"metadata": []}, "/metadata", "not_an_object"),
    ({"metadata": "{}"}, "/metadata", "not_an_object"),
    ({"metadata": None}, "/metadata", "null"),
    ({"metadata": 0}, "/metadata", "not_an_object"),
    ({"metadata": nested(11)}, "/metadata", "too_deep"),
    ({"metadata": {"a": "x" * 16_384}}, "/metadata", "too_large"),
    ({"metadata": {"a": "ü" * 8_200}}, "/metadata", "too_large"),
    ({"colour": "red"}, "/colour", "unknown_field"),
    ({"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ({"non_field_errors": 1}, "/non_field_errors", "unknown_field"),
    ({"workspace": "other"}, "/workspace", "unknown_field"),
    ({"workspace_id": str(uuid.uuid4())}, "/workspace_id", "unknown_field"),
    ({"id": str(uuid.uuid4())}, "/id", "read_only"),
    ({"number": 7}, "/number", "read_only"),
    ({"version": 7}, "/version", "read_only"),
    ({"sync": "perfect"}, "/sync", "read_only"),
    ({"created_by": "root"}, "/created_by", "read_only"),
]


@pytest.mark.parametrize(("fields", "pointer", "code"), WRONG_TASKS)
def test_a_wrong_field_is_refused_on_create_and_on_change(
    api: Caller, fields: dict[str, Any], pointer: str, code: str
) -> None:
    refused = api.post("tasks/", {"title": "One", **fields})
    assert (refused.status, refused.pointers) == (400, [(pointer, code)])
    assert not Event.objects.exists()
    task = api.post("tasks/", {"title": "One"}).body
    changed = api.patch(f"tasks/{task['id']}/", fields)
    assert (changed.status, changed.pointers) == (400, [(pointer, code)])
    assert api.get(f"tasks/{task['id']}/").body == task
    assert Event.objects.count() == 1


def test_every_wrong_field_is_named_at_once(api: Caller) -> None:
    answer = api.post("tasks/", {"nope": 1, "title": "", "labels": ["a", 2, 3]})
    assert sorted(answer.pointers) == [
        ("/labels/1", "invalid"),
        ("/labels/2", "invalid"),
        ("/nope", "unknown_field"),
        ("/title", "blank"),
    ]


def test_ten_levels_of_metadata_are_fine(api: Caller) -> None:
    assert api.post("tasks/", {"title": "One", "metadata": nested(10)}).status == 201


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/xml", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=bz2_codec", 415),
        ("nonsense", 415),
        ("application/json; charset=UTF-8", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
    ],
)
def test_only_json_in_utf_8_is_read(api: Caller, content_type: str, status: int) -> None:
    answer = api.call("POST", "tasks/", raw=b'{"title":"a"}', content_type=content_type)
    assert answer.status == status
    assert Task.objects.count() == (status == 201)


def test_a_body_over_one_mebibyte_is_refused(api: Caller) -> None:
    body = b'{"title":"a","metadata":{}}'
    largest = body + b" " * (1024 * 1024 - len(body))
    assert api.call("POST", "tasks/", raw=largest).status == 201
    assert api.call("POST", "tasks/", raw=largest + b" ").status == 413
    assert Task.objects.count() == 1


BAD_QUERIES = [
    ("tasks/?status=closed", "?status", "invalid"),
    ("tasks/?status=open&status=x", "?status", "invalid"),
    ("tasks/?status=", "?status", "invalid"),
    ("tasks/?priority=1", "?priority", "invalid"),
    ("tasks/?sync=perfect", "?sync", "invalid"),
    ("tasks/?created_after=yesterday", "?created_after", "invalid"),
    ("tasks/?created_before=2026-13-01T00:00:00Z", "?created_before", "invalid"),
    ("tasks/?due_before=2026-01-01", "?due_before", "invalid"),
    ("tasks/?assignee=a%00b", "?assignee", "invalid"),
    ("tasks/?search=%00", "?search", "invalid"),
    ("tasks/?search=a%ff", "?search", "not_utf8"),
    ("tasks/?label=%c3", "?label", "not_utf8"),
    ("tasks/?%ff=1", "?\\xff", "not_utf8"),
    ("events/?after=%ff", "?after", "not_utf8"),
    ("tasks/?search=" + "a" * 201, "?search", "invalid"),
    ("tasks/?limit=0", "?limit", "out_of_range"),
    ("tasks/?limit=501", "?limit", "out_of_range"),
    ("tasks/?limit=-1", "?limit", "out_of_range"),
    ("tasks/?limit=ten", "?limit", "out_of_range"),
    ("tasks/?limit=%D9%A1", "?limit", "out_of_range"),
    ("tasks/?limit=" + "9" * 5000, "?limit", "out_of_range"),
    ("tasks/?limit=0000000019999", "?limit", "out_of_range"),
    ("tasks/?ordering=secret", "?ordering", "invalid_choice"),
    ("tasks/?ordering=workspace__slug", "?ordering", "invalid_choice"),
    ("tasks/?ordering=--number", "?ordering", "invalid_choice"),
    ("tasks/?ordering=", "?ordering", "invalid_choice"),
    ("tasks/?cursor=", "?cursor", "invalid"),
    ("tasks/?cursor=AAAA", "?cursor", "invalid"),
    ("tasks/?cursor=%00a", "?cursor", "invalid"),
    ("tasks/?staus=open", "?staus", "unknown_parameter"),
    ("tasks/?title__startswith=a", "?title__startswith", "unknown_parameter"),
    ("tasks/?%00=1", "?\\u0000", "unknown_parameter"),
    ("tasks/?" + "&".join(["label=a"] * 51), "?label", "too_many"),
    ("events/?after=-1", "?after", "invalid"),
    ("events/?after=1e3", "?after", "invalid"),
    ("events/?after=" + "9" * 30, "?after", "invalid"),
    ("deliveries/?state=lost", "?state", "invalid"),
    ("deliveries/?destination=1", "?destination", "invalid"),
    ("deliveries/?task=none", "?task", "invalid"),
    ("deliveries/?event=x", "?event", "invalid"),
    ("destinations/?state=off", "?state", "invalid"),
]


@pytest.mark.parametrize(("path", "pointer", "code"), BAD_QUERIES)
def test_a_query_that_means_nothing_is_refused(
    api: Caller, path: str, pointer: str, code: str
) -> None:
    answer = api.get(path)
    assert (answer.status, answer.pointers) == (400, [(pointer, code)])


WRONG_DESTINATIONS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "/name", "blank"),
    ({"name": "n" * 101}, "/name", "max_length"),
    ({"name": "n\n"}, "/name", "control_character"),
    ({"name": "\x1b[31mred"}, "/name", "control_character"),
    ({"name": "n\x9b"}, "/name", "control_character"),
    ({"kind": "pigeon"}, "/kind", "invalid_choice"),
    ({"method": "DELETE"}, "/method", "invalid_choice"),
    ({"url": ""}, "/url", "blank"),
    ({"url": 7}, "/url", "invalid"),
    ({"url": "ftp://example.org/"}, "/url", "scheme_not_allowed"),
    ({"url": "file:///etc/passwd"}, "/url", "scheme_not_allowed"),
    ({"url": "http://10.0.0.1/"}, "/url", "address_not_allowed"),
    ({"url": "http://169.254.169.254/latest"}, "/url", "address_not_allowed"),
    ({"url": "http://[::ffff:10.0.0.1]/"}, "/url", "address_not_allowed"),
    ({"url": "http://0x0a000001/"}, "/url", "address_not_allowed"),
    ({"url": "http://user:pass@example.org/"}, "/url", "userinfo_not_allowed"),
    ({"url": "http://example.org/#x"}, "/url", "fragment_not_allowed"),
    ({"url": "http://example.org:99999/"}, "/url", "port_invalid"),
    ({"url": "http://exa mple.org/"}, "/url", "url_invalid"),
    ({"url": "http://example.org/" + "a" * 2048}, "/url", "url_too_long"),
    ({"headers": []}, "/headers", "not_a_dict"),
    ({"headers": {"X-A": 1}}, "/headers/X-A", "invalid"),
    ({"headers": {"Host": "x"}}, "/headers/Host", "header_reserved"),
    ({"headers": {"Webhook-Id": "x"}}, "/headers/Webhook-Id", "header_reserved"),
    ({"headers": {"X A": "x"}}, "/headers/X A", "header_name_invalid"),
    ({"headers": {"X/A": "x"}}, "/headers/X~1A", "header_name_invalid"),
    ({"headers": {"X-A": "a\r\nB: c"}}, "/headers/X-A", "header_value_invalid"),
    ({"headers": {"X-A": "ü"}}, "/headers/X-A", "header_value_invalid"),
    ({"headers": {f"X-{i}": "x" for i in range(21)}}, "/headers", "too_many_headers"),
    ({"events": []}, "/events", "empty"),
    ({"events": ["task_exploded"]}, "/events/0", "invalid_choice"),
    ({"events": ["*", "*"]}, "/events/1", "repeated"),
    ({"events": "*"}, "/events", "not_a_list"),
    ({"max_concurrency": 0}, "/max_concurrency", "min_value"),
    ({"max_concurrency": 101}, "/max_concurrency", "max_value"),
    ({"max_concurrency": "10"}, "/max_concurrency", "invalid"),
    ({"max_concurrency": True}, "/max_concurrency", "invalid"),
    ({"timeout": 1.5}, "/timeout", "invalid"),
    ({"timeout": 61}, "/timeout", "max_value"),
    ({"retry_schedule": [5, -1]}, "/retry_schedule/1", "min_value"),
    ({"retry_schedule": [1] * 31}, "/retry_schedule", "max_length"),
    ({"retry_schedule": 5}, "/retry_schedule", "not_a_list"),
    ({"state": "paused"}, "/state", "read_only"),
    ({"secret": "whsec_mine"}, "/secret", "unknown_field"),
    ({"authorization": {}}, "/authorization", "unknown_field"),
    ({"mode": "newest"}, "/mode", "invalid_choice"),
    ({"rate_limit": 5}, "/rate_limit", "not_an_object"),
    ({"rate_limit": {"requests": 5}}, "/rate_limit/seconds", "required"),
    ({"rate_limit": {"requests": 0, "seconds": 1}}, "/rate_limit/requests", "min_value"),
    ({"rate_limit": {"requests": 1.5, "seconds": 1}}, "/rate_limit/requests", "invalid"),
    ({"rate_limit": {"requests": True, "seconds": 1}}, "/rate_limit/requests", "invalid"),
    ({"rate_limit": {"requests": 1, "seconds": 86_401}}, "/rate_limit/seconds", "max_value"),
    ({"rate_limit": {"requests": 1, "seconds": 1, "per": 2}}, "/rate_limit/per", "unknown_field"),
]


@pytest.mark.parametrize(("fields", "pointer", "code"), WRONG_DESTINATIONS)
def test_a_wrong_destination_is_refused_on_create_and_on_change(
    api: Caller, fields: dict[str, Any], pointer: str, code: str
) -> None:
    good = {"name": "Good", "url": "http://127.0.0.1:9/"}
    refused = api.post("destinations/", {**good, **fields})
    assert (refused.status, refused.pointers) == (400, [(pointer, code)])
    assert not Destination.objects.exists()
    made = api.post("destinations/", good).body
    changed = api.patch(f"destinations/{made['id']}/", fields)
    assert (changed.status, changed.pointers) == (400, [(pointer, code)])
    assert Event.objects.count() == 1


@pytest.mark.parametrize("action", ["test", "pause", "resume", "rotate-secret"])
def test_an_action_takes_no_fields(api: Caller, workspace: Workspace, action: str) -> None:
    destination = factories.destination(workspace)
    answer = api.post(f"destinations/{destination.pk}/{action}/", {"force": True})
    assert (answer.status, answer.pointers) == (400, [("/force", "unknown_field")])
    assert not Event.objects.exists()


DEAR = [
    ("tasks/bulk/", b'{"operations":[' + b"1," * 500_000 + b"1]}", "/operations", 1),
    ("tasks/", b'{"title":"a","labels":[' + b'"",' * 300_000 + b'""]}', "/labels", 1),
    ("tasks/", b'{"title":"a",' + b",".join(b'"n%d":1' % n for n in range(90_000)) + b"}", "", 100),
    ("tasks/", b'{"title":"a","' + b"N" * 900_000 + b'":1}', "", 1),
    ("stream/ticket/", b'{"\\u0041' + b"A" * 500_000 + b'":[' + b"0," * 250_000 + b"0]}", "", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "raw", "pointer", "told"), DEAR, ids=range(len(DEAR)))
def test_a_body_made_to_be_dear_gets_a_short_answer(
    api: Caller, path: str, raw: bytes, pointer: str, told: int
) -> None:
    answer = api.call("POST", path, raw=raw)
    assert (answer.status, len(answer.pointers)) == (400, told)
    assert all(at.startswith(pointer) for at, _ in answer.pointers)
    assert len(answer.raw) < 64_000
    assert not Task.objects.exists()
