"""Leases given back: their share of a rate is free again, and a held workspace keeps no other's."""

import pytest
from django.db import connection

from tasks_app.delivery.lease import give_back, lease
from tasks_app.events.record import lock_heads
from tasks_app.models import Delivery, Workspace
from tests.races.test_delivery_races import Holder
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.clock import let_pass
from tests.support.engine import to

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"


def test_what_was_not_sent_is_no_part_of_a_rate(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, rate_limit={"requests": 6, "seconds": 60}, max_concurrency=50)
    backlog(there, 30)
    rows = lease(worker="w", wanted=40)
    assert len(rows) == 6
    assert give_back(rows[:4]) == []
    assert len(lease(worker="w", wanted=40)) == 4
    assert lease(worker="w", wanted=40) == []


def test_no_window_lets_more_through_for_that(workspace: Workspace) -> None:
    """Two are sent, 30 s later four are leased and two of them given back: four have gone."""
    there = to(workspace, NOWHERE, rate_limit={"requests": 6, "seconds": 60}, max_concurrency=50)
    backlog(there, 30)
    assert len(lease(worker="w", wanted=4)) == 2
    let_pass(there, 30)
    rows = lease(worker="w", wanted=40)
    assert len(rows) == 4
    assert give_back(rows[:2]) == []
    let_pass(there, 40)  # the first two have left the window
    assert len(lease(worker="w", wanted=40)) <= 4


def test_a_lease_that_is_counting_a_rate_is_not_waited_for(workspace: Workspace) -> None:
    there = to(workspace, NOWHERE, rate_limit={"requests": 6, "seconds": 60}, max_concurrency=50)
    backlog(there, 30)
    rows = lease(worker="w", wanted=4)
    leasing = Holder(lambda: lease(worker="other", wanted=4))
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 200")
    try:
        assert give_back(rows) == []
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    leasing.commit()
    assert Delivery.objects.filter(state="leased").count() == 2


def test_a_workspace_that_is_held_up_keeps_only_its_own(workspace: Workspace) -> None:
    other = factories.workspace()
    for one in (workspace, other):
        backlog(to(one, NOWHERE), 2)
    rows = lease(worker="w", wanted=40)
    held = Holder(lambda: lock_heads([other.pk]))
    left = give_back(rows)
    assert {row.workspace_id for row in left} == {other.pk}
    assert Delivery.objects.filter(state="leased").count() == len(left) == 2
    held.commit()
    assert give_back(left) == []
    assert not Delivery.objects.filter(state="leased").exists()
