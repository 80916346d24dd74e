"""A worker whose clock is wrong signs with the right time and forgets no secret too early."""

import time
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from standardwebhooks.webhooks import Webhook

from tasks_app.actions.destination import rotate_secret
from tasks_app.models import Destination, Workspace
from tests.support.backlog import backlog
from tests.support.engine import SECRET, deliver, to
from tests.support.factories import cause
from tests.support.sink import Came, sink, status

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = 3600.0


@pytest.fixture(params=[-25 * HOUR, -HOUR, HOUR, 25 * HOUR])
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Let this process's wall clock be wrong by so many seconds."""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + request.param)
    return float(request.param)


def sent(workspace: Workspace) -> Came:
    """Return what a destination got whose old secret ends in an hour."""
    with sink() as out:
        there = to(workspace, out.url)
        rotate_secret(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
        Destination.objects.update(old_secret_expires_at=Now() + timedelta(hours=1))
        backlog(there, 1)
        deliver()
    (came,) = out.came
    return came


def test_what_it_sends_is_signed_with_the_database_s_time(
    workspace: Workspace, wrong: float
) -> None:
    stamp = int(sent(workspace).headers["webhook-timestamp"])
    assert abs(stamp - (time.time() - wrong)) < 60


def test_the_old_secret_signs_on_until_it_ends_by_the_database_s_time(
    workspace: Workspace, wrong: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = sent(workspace)
    monkeypatch.undo()  # the receiver's clock is right
    assert Webhook(SECRET).verify(came.body, came.headers)


def test_retry_after_a_date_counts_from_the_database_s_time(
    workspace: Workspace, wrong: float
) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - wrong + 120))
    with sink(status(503, Retry_After=date)) as out:
        backlog(to(workspace, out.url), 1)
        deliver()
    held = Destination.objects.get().blocked_until
    assert held is not None
    assert 60 < held.timestamp() - (time.time() - wrong) < 130
