"""Answers kept by `Idempotency-Key` go when their day is over, in batches, and no sooner."""

import pytest
from django.db import connection, transaction

from tasks_app.delivery import answers
from tasks_app.delivery.sweep import BATCHES, sweep
from tasks_app.models import AttemptCount, IdempotencyKey, Workspace
from tests.support.matrix import locked

pytestmark = pytest.mark.django_db(transaction=True)


def keep(workspace: Workspace, prefix: str, count: int, *, left: str) -> None:
    """Keep answers that are honoured for so much longer."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO idempotency_key"
            " (workspace_id, owner, key, fingerprint, status, headers, body, expires_at)"
            " SELECT %s, 'user:1', %s || n, '', 201, '{}', '', now() + %s::interval"
            " FROM generate_series(1, %s) n",
            [workspace.pk, prefix, left, count],
        )


def left() -> set[str]:
    return set(IdempotencyKey.objects.values_list("key", flat=True))


def test_the_sweep_forgets_what_is_over_and_keeps_the_rest(workspace: Workspace) -> None:
    keep(workspace, "old", 3, left="-1 second")
    keep(workspace, "new", 2, left="1 minute")
    sweep()
    assert left() == {"new1", "new2"}


def test_one_sweep_does_a_bounded_number_of_batches(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "BATCH", 2)
    keep(workspace, "old", 2 * BATCHES + 1, left="-1 second")
    sweep()
    assert len(left()) == 1
    sweep()
    assert left() == set()


def test_one_that_is_being_taken_for_a_new_request_holds_nothing_up(workspace: Workspace) -> None:
    keep(workspace, "old", 2, left="-1 second")
    with locked(lambda: list(IdempotencyKey.objects.filter(key="old1").select_for_update())):
        sweep()
        assert left() == {"old1"}
    with transaction.atomic():
        assert answers.forget_answers() == 1


def test_counts_of_attempts_go_when_no_statistics_need_them(workspace: Workspace) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO attempt_count (destination_id, slot, succeeded, bucket, attempts)"
            " SELECT gen_random_uuid(), now() - n * interval '1 hour', true, 1, 1"
            " FROM unnest(ARRAY[0, 24, 26, 100]) n"
        )
    sweep()
    assert AttemptCount.objects.count() == 2
