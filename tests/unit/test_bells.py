"""Bells that piled up cost nothing, and a stop outlasts the longest attempt."""

import time

import pytest
from django.conf import settings

from config.supervisor.plan import WORKER_GRACE
from tasks_app.api.destination_fields import WHOLE
from tasks_app.delivery.rest import Rest


def test_of_bells_that_piled_up_one_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rest = Rest(0.5)
    assert [rest.is_over() for _ in range(1000)].count(True) == 1
    now = 100.4
    assert not rest.is_over()
    now = 100.5
    assert rest.is_over()


def test_a_worker_told_to_stop_has_time_for_its_longest_attempt() -> None:
    """Or a deployment would send twice what nobody had killed."""
    longest = getattr(WHOLE.fields["timeout"], "max_value")  # noqa: B009 - of a whole number
    assert longest + 5 <= settings.CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT < WORKER_GRACE
