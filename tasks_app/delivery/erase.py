"""Erasing deleted workspaces: all their rows, a batch at a time, children before parents.

A while after the deletion, so that what was under way then has been settled. By then nobody enters
and nothing is written there any more, so no head is needed; a row that is locked waits its turn.
"""

from typing import Final

from django.db import connection, transaction

BATCH: Final = 1000  # rows

# No attempt is longer than 60 s, no lease longer than that and its margin.
NEXT: Final = """
    SELECT id FROM workspace WHERE deleted_at < statement_timestamp() - interval '10 minutes'
    ORDER BY deleted_at LIMIT 1
"""
OF_DESTINATION: Final = "JOIN destination x ON x.id = t.destination_id WHERE x.workspace_id = %s"
OF_DELIVERY: Final = (
    "JOIN delivery d ON d.id = t.delivery_id"
    " JOIN destination x ON x.id = d.destination_id WHERE x.workspace_id = %s"
)
OF_MEMBER: Final = "JOIN membership x ON x.id = t.membership_id WHERE x.workspace_id = %s"
OF_SCHEDULE: Final = "JOIN schedule x ON x.id = t.schedule_id WHERE x.workspace_id = %s"
OF_IMPORT: Final = "JOIN import_job x ON x.id = t.job_id WHERE x.workspace_id = %s"
OWN: Final = "WHERE t.workspace_id = %s"

#: Every table of ours, with how its rows belong to a workspace.
STEPS: Final = (
    ("import_fault", OF_IMPORT),
    ("import_chunk", OF_IMPORT),
    ("import_job", OWN),
    ("schedule_occurrence", OF_SCHEDULE),
    ("schedule", OWN),
    ("attempt", OF_DELIVERY),
    ("attempt_count", OF_DESTINATION),
    ("delivery", OF_DESTINATION),
    ("twin", OF_DESTINATION),
    ("long_queue", OF_DESTINATION),
    ("replay", OF_DESTINATION),
    ("destination_counter", OF_DESTINATION),
    ("destination_circuit", OF_DESTINATION),
    ("destination_gate", OF_DESTINATION),
    ("destination", OWN),
    ("event", OWN),
    ("log_floor", OWN),
    ("task_sync", OWN),
    ("task", OWN),
    ("notice", OWN),
    ("idempotency_key", OWN),
    ("invitation", OWN),
    ("stream_ticket", OF_MEMBER),
    ("api_key", OF_MEMBER),
    ("membership", OWN),
    ("workspace_head", OWN),
    ("workspace", "WHERE t.id = %s"),
)
ERASE: Final = """
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT t.ctid FROM {table} t {belongs} LIMIT {batch} FOR UPDATE OF t SKIP LOCKED))
"""


@transaction.atomic
def erase_some() -> int:
    """Erase a batch of one table of one deleted workspace; returns how many rows."""
    with connection.cursor() as cursor:
        cursor.execute(NEXT)
        found = cursor.fetchone()
        for table, belongs in STEPS if found else ():
            cursor.execute(ERASE.format(table=table, belongs=belongs, batch=BATCH), found)
            if cursor.rowcount:
                return int(cursor.rowcount)
    return 0


@transaction.atomic
def forget_mail() -> int:
    """Forget mails that have ended: who asked for a password after a day, the others after 30."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM notice WHERE ended_at < statement_timestamp() -"
            " CASE WHEN kind = 'password_reset' THEN interval '1 day' ELSE interval '30 days' END"
        )
        return int(cursor.rowcount)
