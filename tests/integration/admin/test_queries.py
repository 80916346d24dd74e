"""Lists stay quick on a million rows: nothing is counted, sorted or read without a bound.

Asked of the plans, not of a clock: with sequential scans forbidden, PostgreSQL shows whether there
is an index that serves a list. What a plan must not do is walk rows that the page does not show.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tasks_app.access import Capability
from tasks_app.admin import site
from tasks_app.admin.paging import REACH
from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.models import (
    ApiKey,
    Attempt,
    Delivery,
    Destination,
    Event,
    Membership,
    Role,
    Task,
    Workspace,
)
from tests.support import factories
from tests.support.admin_pages import address, staff

pytestmark = pytest.mark.django_db
ROWS = 3000

_ID = "(lpad(to_hex(1700000000000 + i), 12, '0') || '7000800000000000000' || '0')::uuid"
_FILL = f"""
    INSERT INTO task (id, workspace_id, number, title, description, status, priority, assignee,
        labels, metadata, version, created_by, created_at, updated_at, external_id)
    SELECT {_ID}, %(workspace)s, i, 'Renew ' || i, '', 'open', 'normal', '', '{{}}', '{{}}', 1, '',
        now() - i * interval '1 s', now(), 'ext-' || i FROM generate_series(1, %(rows)s) i;
    INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type, task_id,
        message_id, sequence, state, rank, next_attempt_at, attempts, failures, leases, leased_by,
        error, created_at, ended_at)
    SELECT {_ID}, %(workspace)s, %(destination)s, i, 'task_created', {_ID}, {_ID}, i, 'succeeded',
        1, now(), 1, 0, 1, '', '', now(), now() FROM generate_series(1, %(rows)s) i;
    INSERT INTO attempt (id, delivery_id, number, started_at, duration_ms, phases, failed_phase,
        error, detail, response_excerpt)
    SELECT {_ID}, {_ID}, 1, now(), 1, '{{}}', '', '', '', '' FROM generate_series(1, %(rows)s) i;
    INSERT INTO event (id, workspace_id, seq, schema, type, at, actor, request_id, traceparent,
        task_id, data)
    SELECT {_ID}, %(workspace)s, i, 1, 'task_created', now(), '{{}}', '', '', {_ID}, '{{}}'
    FROM generate_series(1, %(rows)s) i;
    INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name,
        last_name, email, date_joined)
    SELECT 'user' || i, '!', false, false, true, '', '', '', now()
    FROM generate_series(1, %(rows)s) i;
    INSERT INTO membership (id, workspace_id, user_id, role, created_at)
    SELECT {_ID}, %(workspace)s, u.id, 'member', now()
    FROM generate_series(1, %(rows)s) i JOIN auth_user u ON u.username = 'user' || i;
    INSERT INTO api_key (id, membership_id, name, prefix, digest, scope, created_at)
    SELECT {_ID}, {_ID}, 'k', 'ac_', 'd' || i, 'read', now() FROM generate_series(1, %(rows)s) i;
    ANALYZE task, delivery, attempt, event, auth_user, membership, api_key, workspace
"""


@pytest.fixture
def many(workspace: Workspace) -> Destination:
    """Fill one workspace, beside others that are empty; return its destination."""
    for _ in range(3):
        factories.destination(factories.workspace())
    destination = factories.destination(workspace, name="One")
    known: dict[str, Any] = {"workspace": workspace.pk, "destination": destination.pk, "rows": ROWS}
    with connection.cursor() as cursor:
        for statement in _FILL.split(";"):
            cursor.execute(statement, known)
    return destination


def asked(browser: Client, url: str) -> list[str]:
    """Return the statements of a page."""
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(url).status_code == 200, url
    return [one["sql"] for one in queries.captured_queries]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def walked(statement: str) -> int:
    """Return how many rows a statement reads when no table may be read as a whole."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement}")
        (told,) = cursor.fetchone()
        cursor.execute("SET LOCAL enable_seqscan = on")
    plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    touched = 0
    for node in nodes(plan):
        if "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Index Scan":
            thrown_away = node.get("Rows Removed by Filter", 0)
            touched += int((node["Actual Rows"] + thrown_away) * node["Actual Loops"])
    return touched


def lists(destination: Destination) -> Iterator[tuple[str, str]]:
    """Yield the pages that people open: each list, its filters and its searches."""
    slug = destination.workspace.slug
    task, key = Task.objects.latest("id"), ApiKey.objects.latest("id")
    for model in (Task, Delivery, Attempt, Event, Destination, Membership, ApiKey, User):
        page = address(model, "changelist")
        yield page, ""
        if model is not User:
            yield page, f"?workspace={slug}"
    for state in ("dead", "cancelled", "superseded", "pending", "waiting", "leased"):
        yield address(Delivery, "changelist"), f"?workspace={slug}&state={state}"
    yield address(Delivery, "changelist"), f"?destination__id__exact={destination.pk}"
    for query in ("status__exact=done", "priority__exact=urgent", "q=missing"):
        yield address(Task, "changelist"), f"?workspace={slug}&{query}"
    for term in (task.pk, "%2377", "ext-77", "renew", "renew+77", "nothing"):
        yield address(Task, "changelist"), f"?q={term}"
    for model in (Delivery, Event, Attempt):
        yield address(model, "changelist"), f"?q={task.pk}"
    yield address(User, "changelist"), "?q=user77"
    yield address(User, "changelist"), "?q=a@example.org"
    yield address(User, "changelist"), "?is_staff__exact=1"
    yield address(Membership, "changelist"), "?q=user77"
    for query in ("role__exact=owner", f"workspace={slug}&role__exact=owner"):
        yield address(Membership, "changelist"), f"?{query}"
    for query in ("status__exact=done", "priority__exact=urgent"):
        yield address(Task, "changelist"), f"?{query}"
    for state in ("dead", "pending", "waiting", "leased"):
        yield address(Delivery, "changelist"), f"?state={state}"
    yield address(ApiKey, "changelist"), f"?q={key.pk}"
    yield address(ApiKey, "changelist"), "?q=user77"
    yield address(Destination, "changelist"), "?q=On"
    yield address(Workspace, "changelist"), f"?q={slug[:2]}"


#: What a page may read: its rows, the reach of its count, each with what a row belongs to.
MOST = 2 * (REACH + 1) + 6 * 51


def test_no_list_filter_or_search_walks_or_counts_what_it_does_not_show(
    browser: Client, many: Destination
) -> None:
    for page, query in lists(many):
        for statement in asked(browser, page + query):
            if "COUNT(" in statement.upper():
                assert re.search(rf"LIMIT {REACH + 1}\) subquery$", statement), statement
            if statement.startswith("SELECT"):
                assert walked(statement) <= MOST, (page + query, statement)


def test_a_page_asks_as_much_for_fifty_rows_as_for_one(browser: Client, many: Destination) -> None:
    for model in (Task, Delivery, Attempt, Event, Membership, ApiKey):
        page = address(model, "changelist")
        row = model._default_manager.latest("id")
        one, fifty = asked(browser, f"{page}?q={row.pk}"), asked(browser, page)
        assert len(fifty) <= len(one) + 1 <= 12, model


def test_staff_who_see_little_do_not_walk_past_what_they_do_not_see(many: Destination) -> None:
    little = factories.workspace("little")
    browser = staff(little, Role.ADMIN)
    walk_little(browser)
    user = User.objects.get(pk=browser.session["_auth_user_id"])
    other = factories.workspace("other")
    Membership.objects.create(workspace=other, user=user, role=Role.ADMIN)
    walk_little(browser)  # nor where they belong to two


def walk_little(browser: Client) -> None:
    for model in (Task, Delivery, Attempt, Event, Destination, Membership, ApiKey):
        for statement in asked(browser, address(model, "changelist")):
            if statement.startswith("SELECT"):
                assert walked(statement) <= 2 * ROWS / 10, (model, statement)


def test_what_is_more_than_pages_lead_to_is_said(browser: Client, many: Destination) -> None:
    page = browser.get(address(Task, "changelist"), {"p": 20})
    assert page.status_code == 200
    assert f"The first {REACH} of more tasks" in page.content.decode()
    assert browser.get(address(Task, "changelist"), {"p": 21}).status_code == 302


def test_the_address_can_t_ask_for_another_order(browser: Client, many: Destination) -> None:
    plain = asked(browser, address(Task, "changelist"))[-1]
    assert "ORDER BY" in plain
    assert asked(browser, address(Task, "changelist") + "?o=1.-2.5")[-1] == plain


def test_forms_name_no_more_than_one_workspace_at_a_time(
    browser: Client, many: Destination
) -> None:
    for model in (Task, Destination):
        form = browser.get(address(model, "add")).content.decode()
        assert not set(re.findall("w-[0-9a-f]{8}", form))
        for statement in asked(browser, address(model, "add")):
            assert 'FROM "workspace"' not in statement or "LIMIT" in statement


def test_every_page_says_what_it_needs() -> None:
    """What is neither a workspace's nor the operators' own would be shown to all of the staff."""
    for model, page in site._registry.items():
        assert isinstance(page, ScopedAdmin), model
        assert page.sees in Capability
