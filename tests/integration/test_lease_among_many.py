"""What is due is found among thousands of destinations with retries due later, flood or not."""

import json

import pytest
from django.db import connection, transaction

from tasks_app.delivery.due import NEVER, due_in
from tasks_app.delivery.lease import lease
from tasks_app.models import Delivery, Destination, Workspace
from tests.support.backlog import backlog
from tests.support.engine import to

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"
MORE = 1500  # rows; more than the look at what is due longest takes in


def due_later(workspace: Workspace, count: int) -> None:
    """Add so many destinations, each with a retry that is due in an hour."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO destination SELECT (jsonb_populate_record(d, jsonb_build_object("
            " 'id', gen_random_uuid(), 'name', 'later ' || n))).*"
            " FROM destination d CROSS JOIN generate_series(1, %s::integer) n"
            " WHERE d.workspace_id = %s AND d.name = 'first'",
            [count, workspace.pk],
        )
        cursor.execute(
            "INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type,"
            " message_id, sequence, state, rank, next_attempt_at, attempts, failures, leases,"
            " leased_by, error, created_at)"
            " SELECT gen_random_uuid(), workspace_id, id, 1, 'task_created', gen_random_uuid(), 1,"
            " 'pending', 2, statement_timestamp() + interval '1 hour', 1, 1, 0, '', '',"
            " statement_timestamp() FROM destination WHERE name LIKE 'later %%'"
        )
        cursor.execute("ANALYZE delivery")


def pages() -> int:
    """Return how many pages a look at what is due touches."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT aftercommit_due_in(0.5)")
        found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_what_is_due_later_elsewhere_costs_a_look_nothing(workspace: Workspace) -> None:
    backlog(to(workspace, NOWHERE, name="first"), 10)
    alone = max(pages() for _ in range(3))
    due_later(workspace, 1000)
    assert max(pages() for _ in range(3)) < alone + 50


def test_a_flood_that_is_due_longer_hides_nobody(workspace: Workspace) -> None:
    flooded = to(workspace, NOWHERE, name="first", max_concurrency=100)
    backlog(flooded, MORE)
    Delivery.objects.update(next_attempt_at="2020-01-01T00:00:00Z")
    due_later(workspace, 20)
    quiet = to(workspace, NOWHERE, name="quiet")
    backlog(quiet, 1)
    rows = lease(worker="w", wanted=10)
    assert quiet.pk in {row.destination_id for row in rows}
    assert {row.destination_id for row in rows} == {quiet.pk, flooded.pk}


def test_a_flood_that_may_not_go_hides_nobody_either(workspace: Workspace) -> None:
    flooded = to(workspace, NOWHERE, name="first")
    backlog(flooded, MORE)
    Destination.objects.filter(pk=flooded.pk).update(state="paused")
    assert due_in(ahead=0.5) == NEVER
    backlog(to(workspace, NOWHERE, name="quiet"), 1)
    assert due_in(ahead=0.5) == 0
    assert len(lease(worker="w", wanted=10)) == 1
