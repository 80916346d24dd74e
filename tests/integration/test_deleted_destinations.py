"""What waits for a deleted destination ends, without asking every one ever deleted each second."""

import pytest
from django.db import connection

from tasks_app.delivery import clear, sweep
from tasks_app.delivery.clear import cancel_of_deleted, cancel_of_long_deleted
from tasks_app.models import Delivery, Workspace
from tests.support.backlog import backlog
from tests.support.engine import states, to

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"


def deleted(workspace: Workspace, ago: str) -> list[str]:
    """Return the states of what waits for a destination that was deleted so long ago."""
    there = to(workspace, f"{NOWHERE}{ago.replace(' ', '-')}")
    backlog(there, 2)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE destination SET deleted_at = statement_timestamp() - %s::interval"
            " WHERE id = %s",
            [ago, there.pk],
        )
    cancel_of_deleted()
    return states(there)


def test_each_second_only_those_deleted_lately_are_visited(workspace: Workspace) -> None:
    assert deleted(workspace, "0 seconds") == ["cancelled", "cancelled"]
    assert deleted(workspace, "50 minutes") == ["cancelled", "cancelled"]
    assert deleted(workspace, "2 hours") == ["pending", "pending"]


def test_once_a_minute_all_of_them_are(workspace: Workspace) -> None:
    deleted(workspace, "2 hours")
    deleted(workspace, "10 years")
    assert cancel_of_long_deleted() == 4
    assert cancel_of_long_deleted() == 0


def test_several_batches_of_them_go_in_one_sweep(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted(workspace, "2 hours")
    deleted(workspace, "10 years")
    monkeypatch.setattr(clear, "BATCH", 1)
    monkeypatch.setattr(sweep, "_last_seldom", [float("-inf")])
    sweep.clear_up()
    assert Delivery.objects.filter(state="cancelled").count() == 4
