"""Many due deliveries at once, without a request each."""

import uuid

from django.db import connection

from tasks_app.models import Destination, DestinationCounter, WorkspaceHead


def backlog(of: Destination, count: int, *, task: uuid.UUID | None = None, state: str = "") -> None:
    """Add so many events and their deliveries, each of a task of its own, or all of ``task``."""
    head = WorkspaceHead.objects.get(pk=of.workspace_id)
    counter = DestinationCounter.objects.get(pk=of.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH made AS (SELECT i, coalesce(%s::uuid, gen_random_uuid()) AS task"
            "   FROM generate_series(1, %s::int) i),"
            " told AS (INSERT INTO event (id, workspace_id, seq, schema, type, at, actor,"
            "   request_id, traceparent, task_id, data)"
            "   SELECT aftercommit_uuid7(), %s, %s + i, 1, 'task_created', statement_timestamp(),"
            "     '{}', '', '', task, jsonb_build_object('task', jsonb_build_object('id', task))"
            "   FROM made)"
            " INSERT INTO delivery (id, workspace_id, destination_id, event_seq, event_type,"
            "   task_id, message_id, sequence, state, rank, next_attempt_at, attempts, failures,"
            "   leases, leased_by, error, created_at)"
            " SELECT aftercommit_uuid7(), %s, %s, %s + i, 'task_created', task, gen_random_uuid(),"
            "   %s + i, CASE WHEN %s <> '' THEN %s WHEN %s::uuid IS NOT NULL AND i > 1"
            "   THEN 'waiting' ELSE 'pending' END, 1, statement_timestamp(), 0, 0, 0, '', '',"
            "   statement_timestamp() FROM made",
            [
                *(task, count, of.workspace_id, head.seq),
                *(of.workspace_id, of.pk, head.seq, counter.sequence, state, state, task),
            ],
        )
    WorkspaceHead.objects.filter(pk=head.pk).update(seq=head.seq + count)
    DestinationCounter.objects.filter(pk=of.pk).update(sequence=counter.sequence + count)
